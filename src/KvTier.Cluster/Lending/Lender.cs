namespace KvTier.Cluster;

/// <summary>
/// Carries out what the planner says for this silo's groups: a few moves at a time, at times that silos don't share. Copies are held to
/// <see cref="ClusterOptions.CopyBytesPerSecond"/> as all others are.
/// </summary>
internal sealed class Lender(NodeContext node, Migrator migrator, HotGroups hot)
{
    /// <summary>Most moves of one round; then the loads of all are looked at anew.</summary>
    public const int MovesOfARound = 8;

    private static readonly TimeSpan every = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan moveLongest = TimeSpan.FromSeconds(30);

    /// <summary>Runs until the node stops.</summary>
    public async Task RunAsync()
    {
        while (!node.IsStopping)
        {
            await node.PauseAsync(every * (0.75 + 0.5 * node.Random.NextDouble()));
            if (node.IsStopping || !IsDue()) continue;
            RebalancePlan plan = await PlanAsync(MovesOfARound);
            await CarryOutAsync(plan, every * 3);
        }
    }

    /// <summary>Plans for this silo's groups; nothing is moved.</summary>
    public async ValueTask<RebalancePlan> PlanAsync(int movesMax)
    {
        List<GroupLoad> groups = await GroupTally.CollectAsync(node);
        for (int i = 0; i < groups.Count; i++) groups[i] = groups[i] with { ReadsPerSecond = hot.RateOf(groups[i].Group) };
        ClusterState state = node.Membership.State;
        return RebalancePlanner.Plan(state.Map, state.Loads, groups, node.Options, movesMax);
    }

    /// <summary>Makes the moves of a plan one after another, until one fails or the time is over.</summary>
    /// <returns>How many were made, and why not all.</returns>
    public async ValueTask<(int Made, KvError? Error)> CarryOutAsync(RebalancePlan plan, TimeSpan longest)
    {
        NodeDeadline deadline = node.Deadline(longest);
        int made = 0;
        foreach (PlannedMove move in plan.Moves)
        {
            if (node.IsStopping || deadline.Left == TimeSpan.Zero) return (made, new KvError(ErrorCode.DeadlineExceeded, "rebalance"));
            if (await migrator.MoveAsync(move.Group, move.To, deadline.AtMost(moveLongest)) is { } error) return (made, error);
            made++;
        }

        return (made, null);
    }

    /// <summary>
    /// True when a silo is above its mark, or groups are lent that could go home. Spares the walk where there is nothing to do.
    /// </summary>
    private bool IsDue()
    {
        ClusterState state = node.Membership.State;
        if (state.Map.Moved.Values.Contains(node.Self) && IsFuller(state, node.Self, node.Options.LowWatermark)) return true;
        bool mayRelieveOthers = state.Map.Settings.Replicas > 1 || state.Map.Settings.NamespaceReplicas.Count > 0;
        foreach (SiloEntry silo in state.Map.Silos)
        {
            bool isMine = mayRelieveOthers || silo.Name == node.Self;
            if (isMine && IsFuller(state, silo.Name, node.Options.HighWatermark)) return true;
        }

        return false;
    }

    private static bool IsFuller(ClusterState state, string silo, double share) =>
        state.Map.IndexOf(silo) is >= 0 and var index
        && (state.Loads.GetValueOrDefault(silo)?.UsedBytes ?? 0) > state.Map.Silos[index].CapacityBytes * share;
}
