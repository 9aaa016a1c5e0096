using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>What a part says of its units for one KV head of one item, as it is sent. Units are counted in the part.</summary>
internal sealed class HeadReport
{
    /// <summary>Quarantined chunks.</summary>
    internal int[] Always { get; init; } = [];

    /// <summary>Units that are left out of estimates.</summary>
    internal int[] NotEstimated { get; init; } = [];

    /// <summary>Outliers.</summary>
    internal int[] Outliers { get; init; } = [];

    /// <summary>How bad they are.</summary>
    internal float[] Badness { get; init; } = [];

    /// <summary>The largest logit of each query; empty when ranks need no mass.</summary>
    internal float[] Maxima { get; init; } = [];

    /// <summary>The sum of masses of each query, by that logit.</summary>
    internal float[] Totals { get; init; } = [];

    /// <summary>The units by rank, a list for the KV head or, when its query heads take turns or rank by the masses of the part, for each
    /// of them; empty when they are to be ranked yet.</summary>
    internal RankedUnits[] Ranks { get; init; } = [];

    /// <summary>Whose tokens clusters are.</summary>
    internal IReadOnlyList<ClusterSegment> Segments { get; init; } = [];

    /// <summary>Reports what was scored.</summary>
    internal static HeadReport Of(HeadScores scores, ScoreTable table, bool withMass, RankedUnits[] ranks) => new()
    {
        Always = [.. scores.Always],
        NotEstimated = [.. scores.NotEstimated],
        Outliers = [.. scores.Outliers],
        Badness = [.. scores.Badness],
        Maxima = withMass ? table.Maxima.ToArray() : [],
        Totals = withMass ? table.Totals.ToArray() : [],
        Ranks = ranks,
        Segments = [.. scores.Segments.Select(segment => MembersOf(segment, scores.Head))],
    };

    /// <summary>The same with ranks.</summary>
    internal HeadReport With(RankedUnits[] ranks) => new()
    {
        Always = Always,
        NotEstimated = NotEstimated,
        Outliers = Outliers,
        Badness = Badness,
        Maxima = Maxima,
        Totals = Totals,
        Ranks = ranks,
        Segments = Segments,
    };

    /// <summary>Writes it.</summary>
    internal void Write(MessageWriter writer)
    {
        writer.Numbers<int>(Always);
        writer.Numbers<int>(NotEstimated);
        writer.Numbers<int>(Outliers);
        writer.Numbers<float>(Badness);
        writer.Numbers<float>(Maxima);
        writer.Numbers<float>(Totals);
        RankedUnits.Write(writer, Ranks);
        writer.Int(Segments.Count);
        foreach (ClusterSegment segment in Segments)
        {
            (ushort[] members, ushort[] starts) = segment.MembersOf(0);
            writer.Long(segment.FirstToken);
            writer.Int(segment.Tokens);
            writer.Int(segment.Clusters);
            writer.Numbers<ushort>(members);
            writer.Numbers<ushort>(starts);
        }
    }

    /// <summary>Reads it.</summary>
    /// <param name="reader">The message.</param>
    /// <param name="units">Units of the part; all that are named must be below.</param>
    /// <returns>Null when it is none.</returns>
    internal static HeadReport? Read(ref MessageReader reader, int units)
    {
        int[] always = reader.Numbers<int>(), notEstimated = reader.Numbers<int>(), outliers = reader.Numbers<int>();
        float[] badness = reader.Numbers<float>(), maxima = reader.Numbers<float>(), totals = reader.Numbers<float>();
        RankedUnits[]? ranks = RankedUnits.Read(ref reader);
        var segments = new ClusterSegment[reader.Count(leastBytes: 24)];
        for (int i = 0; i < segments.Length; i++)
        {
            if (ReadSegment(ref reader) is not { } segment) return null;
            segments[i] = segment;
        }

        int clusters = segments.Sum(segment => segment.Clusters);
        int most = segments.Length > 0 ? clusters : units;
        if (ranks is null || badness.Length != outliers.Length || maxima.Length != totals.Length) return null;
        if (!Below(always, most) || !Below(notEstimated, most) || !Below(outliers, most) || !ranks.All(rank => Below(rank.Units, most)))
            return null;
        return new HeadReport
        {
            Always = always,
            NotEstimated = notEstimated,
            Outliers = outliers,
            Badness = badness,
            Maxima = maxima,
            Totals = totals,
            Ranks = ranks,
            Segments = segments,
        };
    }

    private static bool Below(int[] units, int most) => !Array.Exists(units, unit => unit < 0 || unit >= most);

    private static ClusterSegment MembersOf(ClusterSegment segment, int head)
    {
        (ushort[] members, ushort[] starts) = segment.MembersOf(head);
        return ClusterSegment.OfMembers(segment.FirstToken, segment.Tokens, segment.Clusters, members, starts);
    }

    private static ClusterSegment? ReadSegment(ref MessageReader reader)
    {
        long first = reader.Long();
        (int tokens, int clusters) = (reader.Int(), reader.Int());
        ushort[] members = reader.Numbers<ushort>(), starts = reader.Numbers<ushort>();
        if (first < 0 || tokens < 1 || clusters < 0 || members.Length != tokens || starts.Length != clusters + 1) return null;
        for (int i = 0; i < starts.Length; i++)
        {
            if (starts[i] > tokens || (i > 0 && starts[i] < starts[i - 1])) return null;
        }

        return Array.Exists(members, member => member >= tokens)
            ? null
            : ClusterSegment.OfMembers(first, tokens, clusters, members, starts);
    }
}

/// <summary>Units with what they are ranked by, those that may be chosen or all.</summary>
/// <param name="Units">The units; empty for all in their order.</param>
/// <param name="Keys">What ranks them, the larger the better; NaN for what is not to be chosen.</param>
internal sealed record RankedUnits(int[] Units, float[] Keys)
{
    /// <summary>Ranks the units of a table.</summary>
    /// <param name="table">The scores of one KV head.</param>
    /// <param name="selector">How.</param>
    /// <param name="most">Units to name at most.</param>
    internal static RankedUnits[] Of(ScoreTable table, Selector selector, int most)
    {
        if (!RankRule.IsUnion(selector))
        {
            RankRule.WriteKeys(selector, table);
            return [Best(table, most)];
        }

        var ranks = new RankedUnits[table.Group];
        for (int g = 0; g < ranks.Length; g++)
        {
            GroupKeys.WriteHead(table, g, selector.Softmax, table.Keys);
            GroupKeys.Exclude(table, table.Keys);
            ranks[g] = Best(table, most);
        }

        return ranks;
    }

    /// <summary>Ranks the units for each query head by their masses, of one query each.</summary>
    internal static RankedUnits[] ByHeads(ScoreTable table, int most)
    {
        var ranks = new RankedUnits[table.Group];
        for (int g = 0; g < ranks.Length; g++)
        {
            if (table.Totals[g] > 0) table.Line(table.Masses, g).CopyTo(table.Keys);
            else table.Keys.Clear();
            GroupKeys.Exclude(table, table.Keys);
            // To name half of them takes as many bytes as all keys do, and the work of finding them.
            ranks[g] = most < table.Units / 2 ? Best(table, most) : new RankedUnits([], table.Keys.ToArray());
        }

        return ranks;
    }

    /// <summary>Writes them.</summary>
    internal static void Write(MessageWriter writer, RankedUnits[] ranks)
    {
        writer.Int(ranks.Length);
        foreach (RankedUnits rank in ranks)
        {
            writer.Numbers<int>(rank.Units);
            writer.Numbers<float>(rank.Keys);
        }
    }

    /// <summary>Reads them.</summary>
    /// <returns>Null when they are none.</returns>
    internal static RankedUnits[]? Read(ref MessageReader reader)
    {
        var ranks = new RankedUnits[reader.Count(leastBytes: 8)];
        for (int i = 0; i < ranks.Length; i++)
        {
            ranks[i] = new RankedUnits(reader.Numbers<int>(), reader.Numbers<float>());
            if (ranks[i].Units.Length > 0 && ranks[i].Units.Length != ranks[i].Keys.Length) return null;
        }

        return ranks;
    }

    private static RankedUnits Best(ScoreTable table, int most)
    {
        Span<int> order = table.Room.Order(Math.Min(most, table.Units));
        int found = TopK.Select(table.Keys, order.Length, order);
        var units = new int[found];
        var keys = new float[found];
        for (int i = 0; i < found; i++) (units[i], keys[i]) = (order[i], table.Keys[order[i]]);
        return new RankedUnits(units, keys);
    }
}
