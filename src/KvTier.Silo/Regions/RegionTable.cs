using KvTier.Protocol;

namespace KvTier.Silo.Regions;

/// <summary>The regions of one connection, by number. They end with it.</summary>
/// <param name="counters">Counts those that are open.</param>
internal sealed class RegionTable(RegionCounters counters)
{
    private readonly Lock gate = new();
    private readonly Dictionary<int, EngineRegion> open = [];
    private int last;
    private bool closed;

    /// <summary>Takes a region over.</summary>
    /// <returns>Its number; an error when there are too many, and then the region is closed.</returns>
    public Result<int> Add(EngineRegion region)
    {
        lock (gate)
        {
            if (!closed && open.Count < WireBounds.RegionsMax)
            {
                open.Add(++last, region);
                counters.Opened(1);
                return last;
            }
        }

        region.Dispose();
        return new KvError(ErrorCode.Busy, "regions", $"{WireBounds.RegionsMax + 1}", $"{WireBounds.RegionsMax} on one connection");
    }

    /// <summary>Finds a region.</summary>
    public Result<EngineRegion> Find(int number)
    {
        lock (gate)
        {
            return open.TryGetValue(number, out EngineRegion? region) ? region : KvError.InvalidArgument(
                "region", number, "a number that this connection got from RegionOpen");
        }
    }

    /// <summary>Closes a region.</summary>
    /// <returns>False when there is none of that number.</returns>
    public bool Remove(int number)
    {
        EngineRegion? region;
        lock (gate)
        {
            if (!open.Remove(number, out region)) return false;
        }

        counters.Opened(-1);
        region.Dispose();
        return true;
    }

    /// <summary>Closes all.</summary>
    public void Close()
    {
        EngineRegion[] all;
        lock (gate)
        {
            closed = true;
            all = [.. open.Values];
            open.Clear();
        }

        counters.Opened(-all.Length);
        foreach (EngineRegion region in all) region.Dispose();
    }
}
