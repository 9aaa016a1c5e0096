namespace KvTier.Cluster;

/// <summary>Adds up the blocks of the groups that this silo owns, for the planner.</summary>
internal static class GroupTally
{
    /// <summary>Most groups that are looked at in one go; those that are found first. The next go looks again.</summary>
    public const int GroupsMax = 1 << 16;

    private const int WalkMax = 256;

    /// <summary>
    /// Walks the silo's blocks. Values that can change are left out: they have one copy and follow their owner at any cost.
    /// </summary>
    public static async ValueTask<List<GroupLoad>> CollectAsync(NodeContext node)
    {
        ClusterMap map = node.Map;
        int self = map.IndexOf(node.Self);
        var found = new WalkedBlock[WalkMax];
        var groups = new Dictionary<BlockId, GroupLoad>();
        long cursor = 0;
        do
        {
            cursor = node.Store.Walk(cursor, found, out int count);
            foreach (WalkedBlock block in found.AsSpan(0, count)) Add(node, map, self, groups, block);
            if (node.IsStopping || node.Map.Epoch != map.Epoch) return [];
            await Task.Yield();
        }
        while (cursor != 0);
        return [.. groups.Values];
    }

    private static void Add(NodeContext node, ClusterMap map, int self, Dictionary<BlockId, GroupLoad> groups, in WalkedBlock block)
    {
        if (groups.TryGetValue(block.Group, out GroupLoad load))
        {
            groups[block.Group] = load with { Bytes = load.Bytes + block.Length };
            return;
        }

        if (groups.Count >= GroupsMax || map.OwnerOf(block.Group) != self) return;
        if (node.NamespaceOf(block.Namespace) is not { IsMutable: false } descriptor) return;
        groups.Add(block.Group, new GroupLoad(block.Group, block.Length, map.Settings.ReplicasOf(descriptor)));
    }
}
