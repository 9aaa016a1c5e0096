namespace KvTier.Cluster;

/// <summary>Whom to ask about which values; nobody is asked about the same value twice.</summary>
internal sealed class ValueTargets
{
    private readonly HashSet<(string Silo, BlockId Id)> known = [];
    private readonly List<(string Silo, List<BlockId> Ids)> next = [];

    /// <summary>Adds silos that are to be asked about a value.</summary>
    public void Add(BlockId id, IEnumerable<string> silos)
    {
        foreach (string silo in silos)
        {
            if (!known.Add((silo, id))) continue;
            int at = next.FindIndex(each => each.Silo == silo);
            if (at < 0) next.Add((silo, [id]));
            else next[at].Ids.Add(id);
        }
    }

    /// <summary>Takes those that were not asked yet.</summary>
    public List<(string Silo, List<BlockId> Ids)> Take()
    {
        List<(string Silo, List<BlockId> Ids)> taken = [.. next];
        next.Clear();
        return taken;
    }
}
