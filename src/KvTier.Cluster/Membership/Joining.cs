namespace KvTier.Cluster;

/// <summary>
/// Makes the silo a member: registers it under a lease, tells the members that it is about to join, and makes the change of the map. The
/// same after a lease was lost.
/// </summary>
internal sealed class Joining(MembershipContext context)
{
    private readonly Dictionary<string, long> met = new(StringComparer.Ordinal);
    private long registeredAt;
    private TimeSpan? takenSince;
    private TimeSpan? wentBackAt;
    private TimeSpan outwaited;

    /// <summary>Tries until the silo is a member.</summary>
    /// <param name="deadline">Time for it.</param>
    /// <returns>Null, or why it is none: at once when that does not pass by itself, else the last reason.</returns>
    public async ValueTask<KvError?> RunAsync(TimeSpan deadline)
    {
        TimeSpan end = context.Clock.Now + deadline;
        outwaited = TimeSpan.Zero;
        Backoff backoff = context.NewBackoff(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(500));
        KvError? last = null;
        while (!context.Stop.IsCancellationRequested && !context.IsLeaving)
        {
            TimeSpan left = end + outwaited - context.Clock.Now;
            if (left <= TimeSpan.Zero)
                return last ?? new KvError(ErrorCode.DeadlineExceeded, "cluster.join", $"{deadline.TotalMilliseconds:0} ms", "more time");
            if (await TryAsync(left) is not { } error) return null;
            if (!MembershipContext.IsPassing(error) || IsTaken(error)) return error;
            // A call that our own end cut short says less than what the engine answered before.
            if (last is null || error.Code != ErrorCode.DeadlineExceeded || context.CallTime(left) < left) last = error;
            await context.Clock.DelayAsync(backoff.Next(), context.Stop);
        }

        return new KvError(ErrorCode.ShuttingDown, "cluster.join");
    }

    /// <summary>Joins again whenever the silo is no member, until it is told to stop.</summary>
    public async Task RunAsync()
    {
        Backoff backoff = context.NewBackoff(TimeSpan.FromMilliseconds(50), context.Options.LeaseTtl);
        while (!context.Stop.IsCancellationRequested && !context.IsLeaving)
        {
            if (context.Authority.Entry is not null)
            {
                backoff.Reset();
                await context.JoinWake.SleepAsync(context.Options.LeaseTtl, context.Stop);
                continue;
            }

            context.Problem = await RunAsync(context.Options.LeaseTtl * 3);
            if (context.Problem is not null) await context.Clock.DelayAsync(backoff.Next(), context.Stop);
        }
    }

    /// <summary>True when a name or data directory is taken, and not by an earlier start whose lease is still to run out.</summary>
    private bool IsTaken(KvError error)
    {
        if (error.Code != ErrorCode.Conflict || context.IsRegistered) takenSince = null;
        else takenSince ??= context.Clock.Now;
        return takenSince is { } since && context.Clock.Now > since + context.Options.LeaseTtl * 2;
    }

    private async ValueTask<KvError?> TryAsync(TimeSpan left)
    {
        Result<ClusterState> found = context.IsRegistered
            ? await context.Engine.ReadAsync(context.CallTime(left))
            : await RegisterAsync(context.CallTime(left));
        if (!found.TryGet(out ClusterState? read, out KvError? error)) return error;
        if (JoinChecks.Check(context.Options, context.Self, read) is { } refusal) return refusal;
        context.Keeper.TakeOver(read);
        long newest = context.Keeper.State.Map.Epoch;
        if (read.Map.Epoch < newest) return JoinChecks.EngineWentBack(read.Map.Epoch, newest);
        if (FindJoined(read.Map) is > 0 and var epoch) return Accept(epoch);
        if (read.Map.Epoch < context.Before.Epoch && await OutwaitAsync(read.Map.Epoch) is { } early) return early;
        if (read.Map.IndexOf(context.Self.Name) < 0 && await MeetAsync(read) is { } stranger) return stranger;
        ClusterChange change = MapChanges.Join(read.Map, context.Self, context.Before.Epoch);
        Result<ClusterState> joined = await context.Engine.CommitAsync(change, context.CallTime(left));
        if (!joined.TryGet(out ClusterState? next, out error))
        {
            if (error.Code == ErrorCode.Fenced) context.RenewWake.Set();
            return error;
        }

        Accept(change.Makes);
        context.Keeper.TakeOver(next);
        return null;
    }

    private async ValueTask<Result<ClusterState>> RegisterAsync(TimeSpan deadline)
    {
        TimeSpan sent = context.Clock.Now;
        Result<ClusterState> registered = await context.Engine.JoinAsync(context.Self, context.Options.LeaseTtl, deadline);
        if (!registered.TryGet(out ClusterState? state, out _)) return registered;
        met.Clear();
        // An engine that has lost its data may give a number again that this silo knows an older map by.
        registeredAt = Math.Max(state.Map.Epoch, context.Keeper.State.Map.Epoch);
        context.Authority.Renewed(sent);
        context.IsRegistered = true;
        return registered;
    }

    /// <summary>
    /// An entry under the silo's name that is younger than its registration is its own: whose lease has the name, has the entry.
    /// </summary>
    private long FindJoined(ClusterMap map)
    {
        int index = map.IndexOf(context.Self.Name);
        return index >= 0 && map.Silos[index].JoinedEpoch > registeredAt ? map.Silos[index].JoinedEpoch : 0;
    }

    /// <summary>
    /// Lets the time pass for which silos of the cluster that the engine has forgotten may still go on by their leases and by words that
    /// they gave each other. It is not taken from the time to join.
    /// </summary>
    /// <returns>Null when it has passed; else, at its end, that the silo is to look again.</returns>
    private async ValueTask<KvError?> OutwaitAsync(long found)
    {
        TimeSpan lease = context.Options.LeaseTtl;
        TimeSpan words = Confirmations.LifeOf(lease, context.Before.Silos);
        wentBackAt ??= context.Clock.Now;
        TimeSpan rest = wentBackAt.Value + (words > lease ? words : lease) - context.Clock.Now;
        if (rest <= TimeSpan.Zero) return null;
        KvError forgot = JoinChecks.EngineForgot(found, context.Before.Epoch);
        context.Problem = forgot;
        await context.Clock.DelayAsync(rest, context.Stop);
        outwaited += rest;
        context.Problem = null;
        return forgot;
    }

    private KvError? Accept(long epoch)
    {
        context.Authority.Joined(epoch, context.Clock.Now);
        context.SettleWake.Set();
        context.TendWake.Set();
        return null;
    }

    private async ValueTask<KvError?> MeetAsync(ClusterState state)
    {
        SiloEntry[] strangers = [.. state.Map.Silos.Where(silo => met.GetValueOrDefault(silo.Name) != silo.JoinedEpoch)];
        await Task.WhenAll(strangers.Select(silo => MeetAsync(state, silo)));
        SiloEntry[] silent = [.. strangers.Where(silo => met.GetValueOrDefault(silo.Name) != silo.JoinedEpoch)];
        return silent.Length == 0 ? null : JoinChecks.Silent(state, silent);
    }

    private async Task MeetAsync(ClusterState state, SiloEntry silo)
    {
        var question = new PeerMessage(MembershipOps.Meet, state.Map.Epoch, MembershipBody.Write(state.Revision));
        Result<PeerMessage> answer = await context.Peers.CallAsync(silo, question, context.CallTime(context.Options.PeerDeadline));
        if (!answer.TryGet(out PeerMessage? message, out _)) return;
        context.Hear(message.Epoch);
        lock (met) met[silo.Name] = silo.JoinedEpoch;
    }
}
