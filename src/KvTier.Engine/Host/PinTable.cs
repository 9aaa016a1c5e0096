namespace KvTier.Engine;

/// <summary>Until when which entries are pinned, in ms since 1970. Not thread-safe.</summary>
internal sealed class PinTable
{
    private readonly Dictionary<uint, long> until = [];

    /// <summary>Entries pinned.</summary>
    internal int Count => until.Count;

    /// <summary>Pins an entry, or changes until when.</summary>
    internal void Set(uint entry, long untilUnixMs) => until[entry] = untilUnixMs;

    /// <summary>Until when an entry is pinned; 0 when it is not.</summary>
    internal long Get(uint entry) => until.GetValueOrDefault(entry);

    /// <summary>Ends a pin.</summary>
    internal void Remove(uint entry) => until.Remove(entry);

    /// <summary>The entries whose pins have run out.</summary>
    internal List<uint> FindExpired(long nowUnixMs)
    {
        var expired = new List<uint>();
        foreach ((uint entry, long deadline) in until)
        {
            if (deadline <= nowUnixMs) expired.Add(entry);
        }

        return expired;
    }
}
