namespace KvTier.Cluster;

/// <summary>
/// Removes silos whose lease is gone from the map. The living member with the lowest name does it at once, each next one a little later, so
/// that not
/// all write at the same time and one that does not do it is stood in for.
/// </summary>
internal sealed class Tending(MembershipContext context)
{
    /// <summary>Members in the row that wait for each other; those behind come at a random time after them.</summary>
    private const int RanksMax = 8;

    /// <summary>Silos from which on losses are gathered for a moment: a rack that fails is one change then.</summary>
    private const int SilosOfGathering = 16;

    private readonly Dictionary<string, TimeSpan> lostSince = new(StringComparer.Ordinal);

    /// <summary>Runs until it is told to stop.</summary>
    public async Task RunAsync()
    {
        Backoff backoff = context.NewBackoff(TimeSpan.FromMilliseconds(20), context.Options.LeaseTtl / 3);
        while (!context.Stop.IsCancellationRequested)
        {
            (ClusterChange? change, TimeSpan pause) = Decide(context.Keeper.State, context.Clock.Now);
            if (change is null)
            {
                await context.TendWake.SleepAsync(pause, context.Stop);
                continue;
            }

            if ((await context.Engine.CommitAsync(change, context.Options.LeaseTtl)).TryGet(out ClusterState? next, out KvError? error))
            {
                backoff.Reset();
                context.Keeper.TakeOver(next);
                continue;
            }

            if (error.Code == ErrorCode.Fenced) context.RenewWake.Set();
            context.RefreshWake.Set();
            await context.Clock.DelayAsync(backoff.Next(), context.Stop);
        }
    }

    private (ClusterChange? Change, TimeSpan Pause) Decide(ClusterState state, TimeSpan now)
    {
        TimeSpan ttl = context.Options.LeaseTtl;
        var alive = state.Alive.Select(silo => silo.Name).ToHashSet(StringComparer.Ordinal);
        string[] lost = [.. state.Map.Silos.Select(silo => silo.Name).Where(name => !alive.Contains(name) && name != context.Self.Name)];
        foreach (string back in lostSince.Keys.Except(lost, StringComparer.Ordinal).ToArray()) lostSince.Remove(back);
        foreach (string name in lost) lostSince.TryAdd(name, now);
        if (lost.Length == 0 || context.IsLeaving || context.Authority.Entry is null) return (null, ttl);
        bool settled = context.Authority.HasSettled(now);
        TimeSpan patience = Patience(state, alive, settled);
        TimeSpan due = lostSince.Values.Min() + patience;
        if (due > now) return (null, due - now);
        string[] removed = settled ? lost : [.. lost.Where(name => lostSince[name] + patience <= now)];
        return (MapChanges.Remove(state.Map, removed), default);
    }

    private TimeSpan Patience(ClusterState state, HashSet<string> alive, bool settled)
    {
        TimeSpan ttl = context.Options.LeaseTtl;
        int rank = state.Map.Silos.TakeWhile(silo => silo.Name != context.Self.Name).Count(silo => alive.Contains(silo.Name));
        double quarters = rank < RanksMax ? rank : RanksMax * (1 + context.Jitter());
        TimeSpan patience = ttl / 4 * quarters;
        if (state.Map.Silos.Count >= SilosOfGathering) patience += ttl / 20;

        // Who has just joined can't know what the lost one was promised before; that has run out after this time.
        if (!settled) patience += Confirmations.LifeOf(ttl, state.Map.Silos.Count);
        return patience;
    }
}
