namespace KvTier.Simulation;

/// <summary>
/// A simulated process: everything that runs for it. It can be stopped, so that nothing of it runs while time goes on, and killed, so that
/// nothing of it ever runs again.
/// </summary>
internal sealed class SimProcess(SimScheduler scheduler, string name) : SynchronizationContext
{
    private readonly List<SimEvent> held = [];
    private List<Action> onDeath = [];

    /// <summary>Its name in the trace.</summary>
    internal string Name { get; } = name;

    /// <summary>True from <see cref="Kill"/> on.</summary>
    internal bool IsDead { get; private set; }

    /// <summary>True between <see cref="Stop"/> and <see cref="Continue"/>.</summary>
    internal bool IsStopped { get; private set; }

    /// <summary>True when it was stopped at any time.</summary>
    internal bool WasStopped { get; private set; }

    /// <inheritdoc/>
    public override void Post(SendOrPostCallback d, object? state) => scheduler.Enqueue(this, scheduler.Now, d, state);

    /// <inheritdoc/>
    public override void Send(SendOrPostCallback d, object? state)
    {
        if (scheduler.IsHere($"a call into {Name}")) Run(new SimEvent(this, d, state));
    }

    /// <inheritdoc/>
    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs a piece of code as this process, at once.</summary>
    internal void Invoke(Action action) => Run(new SimEvent(this, static state => ((Action)state!)(), action));

    /// <summary>Starts a task of this process as an event of its own.</summary>
    internal void Start(Func<Task> work) => Post(static state => Await((Func<Task>)state!), work);

    /// <summary>Nobody waits: what it throws goes to the context, which fails the run.</summary>
    private static async void Await(Func<Task> work) => await work();

    /// <summary>Completes after a time by the simulation's clock, on this process.</summary>
    internal Task DelayAsync(long ticks)
    {
        var late = new TaskCompletionSource();
        scheduler.Enqueue(this, scheduler.Now + ticks, static state => ((TaskCompletionSource)state!).TrySetResult(), late);
        return late.Task;
    }

    /// <summary>Its turn has come for an event.</summary>
    internal void Take(SimEvent next)
    {
        if (IsDead) return;
        if (IsStopped) held.Add(next);
        else Run(next);
    }

    /// <summary>Nothing of it runs until <see cref="Continue"/>.</summary>
    internal void Stop() => IsStopped = WasStopped = true;

    /// <summary>What became due meanwhile runs now.</summary>
    internal void Continue()
    {
        IsStopped = false;
        foreach (SimEvent each in held) scheduler.Enqueue(this, scheduler.Now, each.Callback, each.State);
        held.Clear();
    }

    /// <summary>Nothing of it runs any more.</summary>
    internal void Kill()
    {
        IsDead = true;
        held.Clear();
        List<Action> told = onDeath;
        onDeath = [];
        foreach (Action each in told) each();
    }

    /// <summary>Calls back when it is killed.</summary>
    internal void OnDeath(Action callback) => onDeath.Add(callback);

    private void Run(SimEvent next)
    {
        SynchronizationContext? outer = Current;
        SetSynchronizationContext(this);
        try
        {
            next.Callback(next.State);
        }
        finally
        {
            SetSynchronizationContext(outer);
        }
    }
}
