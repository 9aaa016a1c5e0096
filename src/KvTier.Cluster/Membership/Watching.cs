namespace KvTier.Cluster;

/// <summary>Keeps the state new: waits for changes, and reads it anyway every so often, as a watch may be lost without a word.</summary>
internal sealed class Watching(MembershipContext context)
{
    private static readonly TimeSpan longestWait = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan rereadPerSilo = TimeSpan.FromMilliseconds(20);

    /// <summary>Waits for new states until it is told to stop.</summary>
    public async Task WatchAsync()
    {
        Backoff backoff = context.NewBackoff(TimeSpan.FromMilliseconds(50), context.Options.LeaseTtl);
        while (!context.Stop.IsCancellationRequested)
        {
            var ended = new Wake(context.Clock);
            Task<Result<ClusterState>> wait = WaitAsync(ended);
            await ended.SleepAsync(longestWait * 2, context.Stop);
            if (context.Stop.IsCancellationRequested) return;
            if ((await wait).TryGet(out ClusterState? state, out KvError? error))
            {
                backoff.Reset();
                context.Keeper.TakeOver(state);
            }
            else if (error.Code != ErrorCode.DeadlineExceeded)
            {
                await context.Clock.DelayAsync(backoff.Next(), context.Stop);
            }
        }
    }

    /// <summary>Reads the state when it is asked to, and every so often, until it is told to stop.</summary>
    public async Task RefreshAsync()
    {
        Backoff backoff = context.NewBackoff(TimeSpan.FromMilliseconds(20), context.Options.LeaseTtl / 3);
        while (!context.Stop.IsCancellationRequested)
        {
            bool behind = context.Authority.Heard > context.Keeper.State.Map.Epoch;
            if (!behind) backoff.Reset();
            TimeSpan pause = behind ? backoff.Next() : Period() * (0.75 + 0.25 * context.Jitter());
            await context.RefreshWake.SleepAsync(pause, context.Stop);
            if (context.Stop.IsCancellationRequested) return;
            if (!(await context.Engine.ReadAsync(context.Options.LeaseTtl)).TryGet(out ClusterState? state, out KvError? error))
            {
                context.Problem = error;
                continue;
            }

            if (context.Problem is { Code: ErrorCode.Unavailable or ErrorCode.DeadlineExceeded }) context.Problem = null;
            context.Keeper.TakeOver(state);
        }
    }

    /// <summary>The engine's wait, which may end after the loop was told to stop.</summary>
    private async Task<Result<ClusterState>> WaitAsync(Wake ended)
    {
        Result<ClusterState> result = await context.Engine.WaitAsync(context.Keeper.State.Revision, longestWait);
        ended.Set();
        return result;
    }

    private TimeSpan Period()
    {
        TimeSpan shortest = context.Options.LeaseTtl * 3;
        TimeSpan bySilos = rereadPerSilo * context.Keeper.State.Map.Silos.Count;
        return bySilos > shortest ? bySilos : shortest;
    }
}
