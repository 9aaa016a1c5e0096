namespace KvTier.Cluster;

/// <summary>Moves groups by choice. A silo moves what it owns; what others own it asks them to move.</summary>
internal sealed class Migrator(NodeContext node, PeerCalls calls, GroupCopy copy)
{
    /// <summary>Most moves at a time.</summary>
    public const int MovesMax = 16;

    private readonly Lock gate = new();
    private readonly HashSet<BlockId> moving = [];

    /// <summary>Called before each step; tests and the simulation end a silo there.</summary>
    public Func<MigrationStep, BlockId, ValueTask>? OnStep { get; set; }

    /// <summary>Moves a group; see <see cref="ClusterNode.MoveAsync"/>.</summary>
    public async ValueTask<KvError?> MoveAsync(BlockId group, string silo, TimeSpan deadline, bool mayAsk = true)
    {
        ClusterMap map = node.Map;
        int to = map.IndexOf(silo);
        if (to < 0 || map.Silos[to].Draining) return KvError.InvalidArgument("silo", silo, "a member that does not drain");
        int owner = map.OwnerOf(group);
        if (owner == to) return null;
        if (owner != map.IndexOf(node.Self))
        {
            if (owner < 0 || !mayAsk) return new KvError(ErrorCode.Moved, "group", $"{group}", $"its owner at epoch {map.Epoch}");
            var request = new MoveRequest(group, silo, (int)Math.Min(int.MaxValue, deadline.TotalMilliseconds));
            return (await calls.CallAsync(map.Silos[owner], map, BlockOps.Move, request.Write(), deadline)).Error;
        }

        lock (gate)
        {
            if (moving.Count >= MovesMax) return new KvError(ErrorCode.Busy, "moves", $"{moving.Count}", $"{MovesMax}");
            if (!moving.Add(group)) return new KvError(ErrorCode.Conflict, "group", $"{group}", "one move at a time");
        }

        NodeCounters counters = node.Counters;
        NodeCounters.Add(ref counters.MigrationsStarted);
        bool done = false;
        try
        {
            KvError? error = await new GroupMove(node, calls, copy, group, silo, OnStep).RunAsync(node.Deadline(deadline));
            done = error is null;
            return error;
        }
        finally
        {
            NodeCounters.Add(ref done ? ref counters.MigrationsDone : ref counters.MigrationsFailed);
            lock (gate) moving.Remove(group);
        }
    }
}
