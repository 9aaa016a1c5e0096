namespace KvTier.Cluster;

/// <summary>
/// Makes this silo's blocks follow the map: after each change it walks them, gives the holders what they lack, and drops what it is not to
/// hold once they all have it. Retried until it is done; begun anew when the map changes meanwhile.
/// </summary>
internal sealed class HandOverLoop(
    NodeContext node, PeerCalls calls, Settling settling, HotHeld hot, Reservations reservations, CopyBudget budget,
    MutableState state)
{
    /// <summary>How often everything is compared, changes or not: what a full queue or a lost answer left behind is found.</summary>
    internal static readonly TimeSpan FullEvery = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan owedEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan retryFirst = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan retryLongest = TimeSpan.FromSeconds(5);

    private readonly NodeSignal wake = new(node.Time);
    private readonly MapHistory history = new();
    private TimeSpan retry = retryFirst;
    private long walkedAt;
    private TimeSpan walkTook;

    /// <summary>True while no walk is needed.</summary>
    public bool IsIdle { get; private set; }

    /// <summary>Notes a new map.</summary>
    public void OnMap(ClusterMap map)
    {
        history.Seen(map);
        IsIdle = false;
        retry = retryFirst;
        wake.Set();
    }

    /// <summary>Asks for groups to be looked at although the map is the same.</summary>
    public void Owe(BlockId group)
    {
        history.Owe(group);
        IsIdle = false;
        wake.Set();
    }

    /// <summary>
    /// The same after a block was stored that was admitted under a map: the walk that followed a change since may have passed it by. One
    /// that another silo has handed over or that was fetched may be lacking elsewhere, and who has handed it over now counts on this one.
    /// </summary>
    public void NoteStored(ushort ns, BlockId group, long admittedAt, bool isFromOther)
    {
        ClusterMap map = node.Map;
        bool hasCopies = isFromOther && node.NamespaceOf(ns) is { } descriptor && map.Settings.ReplicasOf(descriptor) > 1;
        if (hasCopies || map.Epoch != admittedAt) Owe(group);
    }

    /// <summary>Wakes the loop so that it sees that it is to end.</summary>
    public void Wake() => wake.Set();

    /// <summary>Runs until the node stops.</summary>
    public async Task RunAsync()
    {
        history.Seen(node.Map);
        long lastFull = node.Time.GetTimestamp();
        int attempts = 0;
        while (!node.IsStopping)
        {
            ClusterMap map = node.Map;
            if (node.Time.GetElapsedTime(lastFull) >= FullEvery)
            {
                lastFull = node.Time.GetTimestamp();
                history.OweAll();
            }

            bool isMember = map.IndexOf(node.Self) >= 0;
            if (isMember && history.IsOnlyOwed(map) && OwedIn() is var wait && wait > TimeSpan.Zero)
            {
                await wake.WaitAsync(wait);
                continue;
            }

            if (!isMember || history.Plan(map) is not { } plan)
            {
                IsIdle = true;
                await wake.WaitAsync(FullEvery - node.Time.GetElapsedTime(lastFull));
                continue;
            }

            if (await WalkAsync(plan, attempts))
            {
                attempts = 0;
                retry = retryFirst;
                continue;
            }

            attempts = node.Map.Epoch == map.Epoch ? attempts + 1 : 0;
            if (attempts == 0) continue;
            await wake.WaitAsync(retry + (retry * node.Random.NextDouble()));
            retry = retry * 2 < retryLongest ? retry * 2 : retryLongest;
        }
    }

    /// <summary>Walks that only look after what was left over are made in a tenth of the time at most.</summary>
    private TimeSpan OwedIn()
    {
        TimeSpan pause = walkTook * 9 > owedEvery ? walkTook * 9 : owedEvery;
        return walkedAt == 0 ? TimeSpan.Zero : pause - node.Time.GetElapsedTime(walkedAt);
    }

    private async ValueTask<bool> WalkAsync(WalkPlan plan, int attempts)
    {
        long started = node.Time.GetTimestamp();
        try
        {
            return await WalkOnceAsync(plan, attempts);
        }
        finally
        {
            walkedAt = node.Time.GetTimestamp();
            walkTook = node.Time.GetElapsedTime(started, walkedAt);
        }
    }

    private async ValueTask<bool> WalkOnceAsync(WalkPlan plan, int attempts)
    {
        NodeCounters counters = node.Counters;
        NodeCounters.Add(ref counters.Walks);
        var walk = new HandOverWalk(node, hot, reservations, plan, new HandOverStep(node, calls, budget, state, attempts));
        bool complete = plan.Now.Silos.Count == 1 || await walk.RunAsync();
        if (!complete || node.Map.Epoch != plan.Now.Epoch)
        {
            history.Failed(plan);
            return false;
        }

        history.Completed(plan);
        NodeCounters.Add(ref counters.WalksCompleted);
        settling.Settle(plan.Now);
        return true;
    }
}
