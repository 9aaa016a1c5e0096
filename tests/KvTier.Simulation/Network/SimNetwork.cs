namespace KvTier.Simulation;

/// <summary>
/// The way between processes: every message is delayed, some get lost, come twice or overtake others; ways can be cut in one direction.
/// A call that is lost ends at its deadline or, as when a connection is reset, before it.
/// </summary>
internal sealed class SimNetwork(SimScheduler scheduler, Random random)
{
    private readonly Dictionary<string, Endpoint> endpoints = new(StringComparer.Ordinal);
    private readonly HashSet<(string From, string To)> cuts = [];

    /// <summary>Probability with which a message is lost.</summary>
    internal double LossRate { get; set; }

    /// <summary>Probability with which a request that may be repeated comes twice.</summary>
    internal double DuplicateRate { get; set; }

    /// <summary>Probability with which a message takes up to <see cref="SlowMax"/>.</summary>
    internal double SlowRate { get; set; } = 0.01;

    /// <summary>Longest that a slow message takes, in ticks.</summary>
    internal long SlowMax { get; set; } = 50 * Ticks.Ms;

    /// <summary>A process serves under a name from now on.</summary>
    internal void Open(string name, SimProcess process, object server) => endpoints[name] = new Endpoint(process, server);

    /// <summary>Cuts the way from one to another, or opens it again.</summary>
    internal void SetCut(string from, string to, bool isCut)
    {
        if (isCut) cuts.Add((from, to));
        else cuts.Remove((from, to));
    }

    /// <summary>Opens every way.</summary>
    internal void Heal()
    {
        cuts.Clear();
        HealMessages();
    }

    /// <summary>Messages are as they should be again; ways that are cut stay so.</summary>
    internal void HealMessages()
    {
        LossRate = 0;
        DuplicateRate = 0;
        SlowRate = 0.01;
        SlowMax = 50 * Ticks.Ms;
    }

    /// <summary>Calls a process.</summary>
    /// <param name="from">Who calls.</param>
    /// <param name="fromName">The caller's name, for cuts.</param>
    /// <param name="time">The caller's clock, for the deadline.</param>
    /// <param name="to">Whom.</param>
    /// <param name="serve">What the other side does; what it takes and returns is copied already.</param>
    /// <param name="deadline">Time for it.</param>
    /// <param name="mayRepeat">True when the request may come twice.</param>
    internal async ValueTask<Result<T>> CallAsync<TServer, T>(
        SimProcess from, string fromName, TimeProvider time, string to, Func<TServer, ValueTask<Result<T>>> serve, TimeSpan deadline,
        bool mayRepeat)
    {
        if (deadline <= TimeSpan.Zero) return LateOf<T>(to);
        var done = new TaskCompletionSource<Result<T>>();
        using ITimer timer = time.CreateTimer(_ => done.TrySetResult(LateOf<T>(to)), null, deadline, Timeout.InfiniteTimeSpan);
        int copies = mayRepeat && random.Chance(DuplicateRate) ? 2 : 1;
        for (int i = 0; i < copies; i++) Request(from, fromName, to, serve, done);
        return await done.Task;
    }

    private static Result<T> LateOf<T>(string to) => new KvError(ErrorCode.DeadlineExceeded, to, "no answer in time");

    private static Result<T> LostOf<T>(string to) => new KvError(ErrorCode.Unavailable, to, "the connection broke");

    private void Request<TServer, T>(
        SimProcess from, string fromName, string to, Func<TServer, ValueTask<Result<T>>> serve, TaskCompletionSource<Result<T>> done)
    {
        if (IsLost(fromName, to))
        {
            if (random.Chance(0.3)) Later(from, Delay(), () => done.TrySetResult(LostOf<T>(to)));
            return;
        }

        if (!endpoints.TryGetValue(to, out Endpoint? endpoint) || endpoint.Process.IsDead)
        {
            Later(from, Delay(), () => done.TrySetResult(LostOf<T>(to)));
            return;
        }

        endpoint.Process.Start(async () =>
        {
            await endpoint.Process.DelayAsync(Delay());

            // What a machine has not sent when it dies is gone.
            if (from.IsDead && random.Chance(0.5)) return;
            Result<T> answer = await serve((TServer)endpoint.Server);
            if (IsLost(to, fromName))
            {
                if (random.Chance(0.3)) Later(from, Delay(), () => done.TrySetResult(LostOf<T>(to)));
                return;
            }

            Later(from, Delay(), () => done.TrySetResult(answer));
        });
        WatchForDeath(from, endpoint.Process, to, done);
    }

    // A process that dies resets its connections: most callers learn of it at once, some not before their deadline.
    private void WatchForDeath<T>(SimProcess from, SimProcess target, string to, TaskCompletionSource<Result<T>> done)
    {
        if (random.Chance(0.2)) return;
        target.OnDeath(() =>
        {
            if (!done.Task.IsCompleted) Later(from, Delay(), () => done.TrySetResult(LostOf<T>(to)));
        });
    }

    private bool IsLost(string from, string to) => cuts.Contains((from, to)) || random.Chance(LossRate);

    private long Delay() => random.Chance(SlowRate) ? random.NextTicks(Ticks.Ms, SlowMax) : random.NextTicks(20 * Ticks.Us, 500 * Ticks.Us);

    private void Later(SimProcess process, long ticks, Action action) =>
        scheduler.Enqueue(process, scheduler.Now + ticks, static state => ((Action)state!)(), action);

    private sealed record Endpoint(SimProcess Process, object Server);
}
