namespace KvTier.Cluster;

/// <summary>
/// A silo's membership in its cluster: a lease that is renewed, the newest map, and the right to change things as an owner. One for each
/// silo.
/// What it decides follows from what the engine and the other silos say, the clock and the random numbers it is given, and nothing else.
/// </summary>
/// <remarks>
/// Thread-safe. Its loops run where <see cref="StartAsync"/> was called: on the caller's synchronization context, if it has one.
/// </remarks>
public sealed class Membership : IMembership, IPeerHandler, IAsyncDisposable
{
    private readonly MembershipContext context;
    private readonly Joining joining;
    private readonly Renewing renewing;
    private readonly Watching watching;
    private readonly Tending tending;
    private readonly Vouching vouching;
    private readonly List<Task> loops = [];

    /// <summary>Makes a membership; nothing runs before <see cref="StartAsync"/>.</summary>
    /// <param name="options">How; checked by the caller.</param>
    /// <param name="self">What the silo says of itself; its <see cref="SiloEntry.JoinedEpoch"/> is not looked at.</param>
    /// <param name="engine">Who keeps the map; not owned.</param>
    /// <param name="peers">The way to the other silos.</param>
    /// <param name="time">The clock. Only its timestamps and timers are used: what the wall clock does has no effect.</param>
    /// <param name="random">Of jitter; seeded in tests.</param>
    public Membership(
        ClusterOptions options, SiloEntry self, IClusterEngine engine, IPeers peers, TimeProvider time, Random random)
    {
        context = new MembershipContext(options, self with { JoinedEpoch = 0 }, engine, peers, time, random);
        joining = new Joining(context);
        renewing = new Renewing(context);
        watching = new Watching(context);
        tending = new Tending(context);
        vouching = new Vouching(context);
        context.Keeper.OnState = WakeLoops;
    }

    /// <inheritdoc/>
    public ClusterState State => context.Keeper.State;

    /// <inheritdoc/>
    public SiloEntry Self => context.Authority.Entry ?? context.Self;

    /// <inheritdoc/>
    public bool MayWrite => context.Authority.MayWrite(context.Clock.Now);

    /// <inheritdoc/>
    public Action<ClusterMap, ClusterMap>? OnMap
    {
        get => context.Keeper.OnMap;
        set => context.Keeper.OnMap = value;
    }

    /// <inheritdoc/>
    public Func<SiloLoad>? LoadOf
    {
        get => renewing.LoadOf;
        set => renewing.LoadOf = value;
    }

    /// <summary>
    /// What earlier starts of the silo knew. Epochs go on above it, so that they mean one map each, also after the engine has lost its
    /// data. Default: nothing. Set before the start.
    /// </summary>
    public ClusterTrace Before
    {
        get => context.Before;
        set => context.Before = value;
    }

    /// <summary>Why the silo is no member, or that the engine can't be reached; null while all is well.</summary>
    public KvError? Problem => context.Problem;

    /// <summary>What <see cref="MayWrite"/> says after a time in which nothing else happens: the silo's process is stopped.</summary>
    internal bool MayWriteAt(TimeSpan later) => context.Authority.MayWrite(context.Clock.Now + later);

    /// <inheritdoc/>
    public bool MayWriteTo(BlockId group) => context.Authority.MayWriteTo(group, context.Clock.Now);

    /// <summary>
    /// Joins the cluster and starts the loops. The silo must answer what others ask (<see cref="OnCallAsync"/>) before it is called.
    /// </summary>
    /// <param name="deadline">Time for it; a silo that was killed can join again only when its old lease has run out.</param>
    /// <returns>Null when it is a member; else why it can't be one, with what to do. Then nothing runs.</returns>
    public async ValueTask<KvError?> StartAsync(TimeSpan deadline)
    {
        loops.Add(RunAsync(renewing.RunAsync));
        if (await joining.RunAsync(deadline) is { } error)
        {
            if (context.IsRegistered) await context.Engine.LeaveAsync(context.Options.LeaseTtl);
            await DisposeAsync();
            return error;
        }

        loops.Add(RunAsync(watching.WatchAsync));
        loops.Add(RunAsync(watching.RefreshAsync));
        loops.Add(RunAsync(joining.RunAsync));
        loops.Add(RunAsync(tending.RunAsync));
        loops.Add(RunAsync(vouching.ConfirmAsync));
        loops.Add(RunAsync(vouching.SettleAsync));
        return null;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> CatchUpAsync(long epoch, TimeSpan longest)
    {
        if (State.Map.Epoch >= epoch) return true;
        context.Hear(epoch);
        return await context.Keeper.WaitAsync(epoch, longest);
    }

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> CommitAsync(ClusterChange change, TimeSpan deadline)
    {
        TimeSpan end = context.Clock.Now + deadline;
        Result<ClusterState> made = await context.Engine.CommitAsync(change, deadline);
        if (made.TryGet(out ClusterState? state, out KvError? error))
        {
            context.Keeper.TakeOver(state);
            return made;
        }

        TimeSpan left = end - context.Clock.Now;
        if (left <= TimeSpan.Zero)
        {
            context.RefreshWake.Set();
            return error;
        }

        // Another change came first, or nobody knows whether this one was made.
        if (!(await context.Engine.ReadAsync(left)).TryGet(out state, out _)) return error;
        context.Keeper.TakeOver(state);
        bool unknown = error.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded;
        return unknown && MapChanges.Holds(state.Map, change) ? State : error;
    }

    /// <summary>
    /// Leaves the cluster: changes nothing any more, is taken out of the map, and ends the lease. It goes on answering with the map in
    /// which others own its groups. A silo that is not drained leaves its groups' blocks behind.
    /// </summary>
    /// <returns>Null, or why others must wait until the lease has run out.</returns>
    public async ValueTask<KvError?> LeaveAsync(TimeSpan deadline)
    {
        TimeSpan end = context.Clock.Now + deadline;
        context.IsLeaving = true;
        context.Authority.Leaving();
        context.JoinWake.Set();
        await context.Clock.DelayAsync(context.Authority.GivenLeft(context.Clock.Now), context.Stop);
        KvError? error = null;
        Backoff backoff = context.NewBackoff(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(500));
        while (context.Authority.Entry is not null && end > context.Clock.Now)
        {
            ClusterChange change = MapChanges.Remove(State.Map, [context.Self.Name]);
            error = (await CommitAsync(change, context.CallTime(end - context.Clock.Now))).Error;
            if (error is not null) await context.Clock.DelayAsync(backoff.Next(), context.Stop);
        }

        context.IsRegistered = false;
        TimeSpan left = end - context.Clock.Now;
        return left > TimeSpan.Zero ? await context.Engine.LeaveAsync(left) ?? error : error;
    }

    /// <inheritdoc/>
    public ValueTask<Result<PeerMessage>> OnCallAsync(string from, PeerMessage request, TimeSpan deadline) =>
        vouching.AnswerAsync(from, request, deadline);

    /// <summary>Stops the loops. The lease runs out by itself when <see cref="LeaveAsync"/> has not ended it.</summary>
    public async ValueTask DisposeAsync()
    {
        context.Authority.Leaving();
        context.Stopping.Cancel();
        await Task.WhenAll(loops);
    }

    private void WakeLoops()
    {
        context.TendWake.Set();
        context.SettleWake.Set();
        if (context.Authority.Entry is null) context.JoinWake.Set();
    }

    /// <summary>A loop must not end by itself; if one does, the silo changes nothing any more, and says why.</summary>
    private async Task RunAsync(Func<Task> loop)
    {
        try
        {
            await loop();
        }
        catch (Exception failure)
        {
            context.Authority.Leaving();
            context.Problem = new KvError(ErrorCode.Internal, "cluster.membership", failure.ToString());
        }
    }
}
