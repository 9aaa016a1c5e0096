using KvTier.Protocol;

namespace KvTier.Silo.Engines;

/// <summary>Finds in what engines of a namespace differ.</summary>
internal static class EngineCompare
{
    /// <summary>Most differences that one answer names.</summary>
    public const int DifferencesMax = 64;

    /// <summary>Compares an engine with others. A field that one of two does not say, or says to be <c>any</c>, agrees.</summary>
    /// <param name="mine">The engine that asks.</param>
    /// <param name="others">The others, the engine itself before a restart among them.</param>
    /// <returns>One entry for each field and value of others; the fields that others follow from come first.</returns>
    public static List<EngineDifference> Find(EngineRecord mine, IEnumerable<EngineRecord> others)
    {
        var found = new Dictionary<(string Field, string Theirs), (EngineRecord First, int Count, bool RootsAgree)>();
        foreach (EngineRecord other in others)
        {
            bool rootsAgree = Agrees(mine, other, EngineAdvice.HashAlgorithm) && Agrees(mine, other, EngineAdvice.Seed);
            foreach (string field in mine.Fields.Keys)
            {
                if (Agrees(mine, other, field)) continue;
                (string, string) key = (field, other.Fields[field]);
                found[key] = found.TryGetValue(key, out var known) ? known with { Count = known.Count + 1 } : (other, 1, rootsAgree);
            }
        }

        var differences = found.OrderBy(each => RankOf(each.Key.Field)).ThenBy(each => each.Key.Field, StringComparer.Ordinal)
            .Take(DifferencesMax)
            .Select(each => new EngineDifference(
                each.Key.Field, mine.Fields[each.Key.Field], each.Key.Theirs, WhoseOf(mine, each.Value.First, each.Value.Count),
                EngineAdvice.Of(new EngineQuestion(
                    mine.Engine, each.Value.First.Engine, each.Key.Field, mine.Fields[each.Key.Field], each.Key.Theirs,
                    each.Value.RootsAgree))))
            .ToList();
        bool unset = mine.Fields.GetValueOrDefault(EngineAdvice.Seed) == EngineAdvice.Unset;
        if (unset && differences.TrueForAll(each => each.Field != EngineAdvice.Seed))
        {
            differences.Insert(0, new EngineDifference(
                EngineAdvice.Seed, EngineAdvice.Unset, "a fixed value",
                "every engine that is to share blocks, this one after a restart too",
                EngineAdvice.Of(
                    new EngineQuestion(mine.Engine, mine.Engine, EngineAdvice.Seed, EngineAdvice.Unset, "", RootsAgree: false))));
        }

        return differences;
    }

    /// <summary>True when two engines do not differ in a field.</summary>
    public static bool Agrees(EngineRecord left, EngineRecord right, string field) =>
        !left.Fields.TryGetValue(field, out string? mine) || !right.Fields.TryGetValue(field, out string? theirs)
        || mine == EngineRecord.Any || theirs == EngineRecord.Any || mine == theirs;

    private static string WhoseOf(EngineRecord mine, EngineRecord first, int count)
    {
        string name = first.IsSame(mine) ? $"{first.Name}, before it was restarted" : first.Name;
        return count == 1 ? name : $"{name} and {count - 1} more";
    }

    private static int RankOf(string field) => field switch
    {
        EngineAdvice.HashAlgorithm => 0,
        EngineAdvice.Seed => 1,
        EngineAdvice.ProbeHash => 2,
        _ => 3,
    };
}
