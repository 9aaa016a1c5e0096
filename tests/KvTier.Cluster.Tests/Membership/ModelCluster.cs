using KvTier.Testing;

namespace KvTier.Cluster.Tests;

/// <summary>
/// Memberships of several silos in one thread: one clock, one <see cref="ModelEngine"/>, a network whose ways can be cut. Everything that
/// runs
/// is run by <see cref="Run"/>.
/// </summary>
internal sealed class ModelCluster : IDisposable
{
    private readonly SynchronizationContext? outer = SynchronizationContext.Current;
    private readonly Pump pump = new();
    private readonly TimeSpan latency = TimeSpan.FromMilliseconds(1);
    private readonly int seed;

    public ModelCluster(int seed = 1, TimeSpan? ttl = null)
    {
        this.seed = seed;
        Options = new ClusterOptions { Cluster = "test", LeaseTtl = ttl ?? TimeSpan.FromSeconds(3) };
        Engine = new ModelEngine(Time);
        SynchronizationContext.SetSynchronizationContext(pump);
    }

    public ClusterOptions Options { get; }

    public ManualTimeProvider Time { get; } = new();

    public ModelEngine Engine { get; }

    /// <summary>Silos that run, by name.</summary>
    public SortedDictionary<string, ModelSilo> Silos { get; } = new(StringComparer.Ordinal);

    /// <summary>Ways that are cut: from, to.</summary>
    public HashSet<(string From, string To)> Cuts { get; } = [];

    public ModelSilo Add(string name, SiloEntry? entry = null)
    {
        var silo = new ModelSilo(this, name, new ModelSession(Engine, Time, latency), new Random(seed + Silos.Count * 31), entry);
        Silos[name] = silo;
        return silo;
    }

    /// <summary>Adds silos and waits until they are members that may write.</summary>
    public ModelSilo[] Start(params string[] names)
    {
        ModelSilo[] silos = [.. names.Select(name => Add(name))];
        foreach (ModelSilo silo in silos) Assert.Null(Finish(silo.Membership.StartAsync(TimeSpan.FromSeconds(30)).AsTask()));
        RunUntil(() => silos.All(silo => silo.Membership.MayWrite));
        return silos;
    }

    /// <summary>Ends a silo as kill -9 does.</summary>
    public void Kill(string name)
    {
        Silos[name].IsDead = true;
        Silos[name].Session.IsCut = true;
        Silos.Remove(name);
    }

    /// <summary>Lets time pass, 1 ms at a time, and runs what is due.</summary>
    public void Run(TimeSpan span, Action? eachStep = null)
    {
        for (TimeSpan passed = TimeSpan.Zero; passed < span; passed += latency)
        {
            pump.Run();
            Time.Advance(latency);
            Engine.Expire();
            pump.Run();
            eachStep?.Invoke();
        }
    }

    /// <summary>Runs until something is so; fails when it is not within a time of the model's clock.</summary>
    public void RunUntil(Func<bool> condition, int longestSeconds = 60)
    {
        for (int ms = 0; ms < longestSeconds * 1000 && !condition(); ms++) Run(latency);
        Assert.True(condition());
    }

    /// <summary>Runs until a task has ended.</summary>
    public T Finish<T>(Task<T> task)
    {
        RunUntil(() => task.IsCompleted);
        return task.GetAwaiter().GetResult();
    }

    /// <summary>Carries a call to another silo and its answer back.</summary>
    public async ValueTask<Result<PeerMessage>> CallAsync(string from, SiloEntry to, PeerMessage request, TimeSpan deadline)
    {
        await Task.Delay(latency, Time);
        bool asks = Silos.ContainsKey(from);
        if (asks && !Cuts.Contains((from, to.Name)) && Silos.TryGetValue(to.Name, out ModelSilo? silo) && !silo.IsStopped)
        {
            Result<PeerMessage> answer = await silo.Membership.OnCallAsync(from, request, deadline);
            await Task.Delay(latency, Time);
            if (!Cuts.Contains((to.Name, from))) return answer;
        }

        await Task.Delay(deadline, Time);
        return new KvError(ErrorCode.DeadlineExceeded, to.Name);
    }

    public void Dispose() => SynchronizationContext.SetSynchronizationContext(outer);

    private sealed class Pump : SynchronizationContext
    {
        private readonly Queue<(SendOrPostCallback Call, object? State)> queue = [];
        private readonly int thread = Environment.CurrentManagedThreadId;
        private volatile string? stray;

        public override void Post(SendOrPostCallback d, object? state)
        {
            // What runs on another thread races with the model's clock.
            if (Environment.CurrentManagedThreadId == thread) queue.Enqueue((d, state));
            else stray ??= Environment.StackTrace;
        }

        public override void Send(SendOrPostCallback d, object? state) => d(state);

        public void Run()
        {
            Assert.True(stray is null, $"a continuation came from another thread: {stray}");
            while (queue.TryDequeue(out (SendOrPostCallback Call, object? State) next)) next.Call(next.State);
        }
    }
}
