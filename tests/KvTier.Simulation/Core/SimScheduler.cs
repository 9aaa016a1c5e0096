namespace KvTier.Simulation;

/// <summary>
/// One thread, one clock, one queue. Every callback of every simulated process is an event here; events of one instant run in an order
/// that the seed decides.
/// </summary>
internal sealed class SimScheduler(int seed)
{
    /// <summary>Events of one instant above which nothing but a loop that never waits explains them.</summary>
    private const int EventsPerInstantMax = 200_000;

    private readonly PriorityQueue<SimEvent, (long At, uint Tie, long Number)> queue = new();
    private readonly Random ties = new(seed);
    private readonly int thread = Environment.CurrentManagedThreadId;
    private long number;
    private long instantStart;
    private volatile SimFailure? failure;

    /// <summary>Time since the start, in ticks of 100 ns.</summary>
    internal long Now { get; private set; }

    /// <summary>Events run so far.</summary>
    internal long Events { get; private set; }

    /// <summary>Called after every event.</summary>
    internal Action? AfterEvent { get; set; }

    /// <summary>Puts an event into the queue.</summary>
    /// <param name="owner">Whose it is.</param>
    /// <param name="at">When, at the earliest now.</param>
    /// <param name="callback">What runs.</param>
    /// <param name="state">Its argument.</param>
    internal void Enqueue(SimProcess owner, long at, SendOrPostCallback callback, object? state)
    {
        if (!IsHere($"an event of {owner.Name}")) return;
        queue.Enqueue(new SimEvent(owner, callback, state), (Math.Max(at, Now), (uint)ties.NextInt64(1L << 32), number++));
    }

    /// <summary>Runs events until a condition holds.</summary>
    /// <param name="until">Time at which it ends in any case, in ticks.</param>
    /// <param name="isDone">Looked at after every event; null for never.</param>
    /// <returns>True when the condition came to hold.</returns>
    internal bool Run(long until, Func<bool>? isDone = null)
    {
        while (true)
        {
            if (isDone?.Invoke() == true) return true;
            if (!queue.TryPeek(out _, out (long At, uint Tie, long Number) order) || order.At > until)
            {
                Now = until;
                return false;
            }

            if (order.At > Now)
            {
                Now = order.At;
                instantStart = Events;
            }

            SimEvent next = queue.Dequeue();
            Events++;
            next.Owner.Take(next);
            AfterEvent?.Invoke();
            if (failure is { } what) throw what;
            if (Events - instantStart > EventsPerInstantMax)
                throw new SimFailure("progress", $"{EventsPerInstantMax} events and no time passed");
        }
    }

    /// <summary>Notes what ran on another thread than the simulation's.</summary>
    /// <returns>False when it did.</returns>
    internal bool IsHere(string what)
    {
        if (Environment.CurrentManagedThreadId == thread) return true;
        Fail("one thread", $"{what} came from another thread:\n{Environment.StackTrace}");
        return false;
    }

    /// <summary>Ends the run after the event that runs now.</summary>
    internal void Fail(string oracle, string what) => failure ??= new SimFailure(oracle, what);
}

/// <summary>A callback of a process.</summary>
internal readonly record struct SimEvent(SimProcess Owner, SendOrPostCallback Callback, object? State);
