using KvTier.Memory;

namespace KvTier.Engine;

/// <summary>
/// One silo's store of blocks: index, host tier, SSD tier, and what moves between them. Thread-safe.
/// </summary>
/// <remarks>One lock guards the index, the slot table, the victim order and the arena; payload bytes move outside it.</remarks>
public sealed partial class BlockEngine : IAsyncDisposable
{
    private readonly EngineState state;
    private readonly IBlockLog? log;
    private readonly LogWriter? writer;
    private readonly SsdReader? reader;
    private readonly RangeReader? ranges;
    private readonly Sweeper sweeper;
    private readonly EngineMetrics metrics;
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> loops = [];

    /// <summary>Makes an engine over an arena and, where there is an SSD tier, a log. It owns neither.</summary>
    /// <exception cref="KvException">An option has a value it can't have.</exception>
    public BlockEngine(EngineOptions options, Arena arena, IBlockLog? log, TimeProvider time)
    {
        if (options.Validate() is { } invalid) throw new KvException(invalid);
        this.log = log;
        state = new EngineState(options, arena, log is not null, time);
        metrics = new EngineMetrics(this);
        sweeper = new Sweeper(state);
        if (log is null) return;
        reader = new SsdReader(state, log, metrics);
        ranges = new RangeReader(state, log);
        writer = new LogWriter(state, log, metrics);
    }

    /// <summary>Longest that <see cref="DisposeAsync"/> waits for the device: 30 s on the engine's clock.</summary>
    public static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(30);

    /// <summary>
    /// True when the engine was disposed while the device held a read or write for longer than <see cref="StopTimeout"/>. The kernel may
    /// still write into the arena: arena and log must then be left as they are until the process ends. Default false.
    /// </summary>
    public bool IsAbandoned => state.Abandoned;

    /// <summary>The arena that offsets in reservations and leases refer to.</summary>
    public Arena Arena => state.Arena;

    /// <summary>Every namespace, indexed by its handle.</summary>
    public IReadOnlyList<NamespaceDescriptor> Namespaces => state.Namespaces.All;

    /// <summary>Called when the device failed to read a block, with the number of such failures since start; from any thread, and it must
    /// not throw. Default none.</summary>
    public Action<long>? OnReadError
    {
        get => reader?.OnError;
        set
        {
            if (reader is not null) reader.OnError = value;
            if (ranges is not null) ranges.OnError = value;
        }
    }

    /// <summary>The engine's truth, for tests and for benchmarks.</summary>
    internal EngineState State => state;

    /// <summary>Write-behind, for tests that step it themselves; null without an SSD tier.</summary>
    internal LogWriter? Writer => writer;

    /// <summary>Reads of the log under way and waiting, for tests.</summary>
    internal int ReadsUnderWay
    {
        get
        {
            lock (state.Gate) return (reader?.Count ?? 0) + (ranges?.Count ?? 0);
        }
    }

    /// <summary>Expiry, for tests that step it themselves.</summary>
    internal Sweeper Sweeper => sweeper;

    /// <summary>Registers a namespace, or finds it when it is registered with the same profile.</summary>
    /// <returns>Its handle, stable until restart; or <see cref="ErrorCode.NamespaceMismatch"/>, naming the field that differs.</returns>
    public Result<ushort> OpenNamespace(NamespaceDescriptor descriptor)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        lock (state.Gate) return state.Namespaces.Open(descriptor);
    }

    /// <summary>Rebuilds the index from the log. Called once, before <see cref="Start"/>.</summary>
    /// <param name="namespaces">Namespaces registered before the restart; records of others are dropped and counted.</param>
    /// <returns>What recovery found; null without an SSD tier.</returns>
    /// <exception cref="KvException">A namespace is not valid, or two of them have one name.</exception>
    public RecoverySummary? Recover(IReadOnlyList<NamespaceDescriptor> namespaces)
    {
        ArgumentNullException.ThrowIfNull(namespaces);
        foreach (NamespaceDescriptor descriptor in namespaces) _ = OpenNamespace(descriptor).Value;
        if (log is null) return null;
        var replay = new LogReplay(state);
        RecoverySummary summary = log.Recover(replay);
        replay.Finish(summary.DamageEnd);
        return summary;
    }

    /// <summary>Starts write-behind, reclaim and expiry in the background.</summary>
    public void Start()
    {
        if (writer is not null) loops.Add(Launch(writer.RunAsync));
        loops.Add(Launch(sweeper.RunAsync));
    }

    /// <summary>Stops taking puts, writes every sealed block to the log, commits, and stops the background work.</summary>
    /// <returns>Null when all is durable (or there is no SSD tier), else what failed or <see cref="ErrorCode.DeadlineExceeded"/>.</returns>
    public async ValueTask<KvError?> DrainAsync(TimeSpan deadline)
    {
        lock (state.Gate)
        {
            state.Draining = true;
            state.Host.Room.Pulse();
        }

        KvError? error = writer is null ? null : await writer.DrainAsync(deadline);
        await StopLoopsAsync();
        return error;
    }

    /// <summary>
    /// Stops the background work without draining. Waits at most <see cref="StopTimeout"/> for reads and writes at the device; when one
    /// hangs longer, <see cref="IsAbandoned"/> is true afterwards.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (state.Closed) return;
        lock (state.Gate) state.Draining = true;
        Task stopping = StopAllAsync();
        if (await Waiting.ForAsync(stopping, StopTimeout, state.Time))
        {
            await stopping;
            lock (state.Gate) state.Dispose();
            stop.Dispose();
        }
        else
        {
            lock (state.Gate) state.Abandon();
        }

        metrics.Dispose();
    }

    /// <summary>
    /// Frees everything at once, as when the process dies; for a simulation in which nothing of this engine runs any more.
    /// </summary>
    internal void Kill()
    {
        lock (state.Gate) state.Dispose();
        metrics.Dispose();
    }

    private async Task StopAllAsync()
    {
        await StopLoopsAsync();
        if (writer is not null) await writer.CloseAsync();
        if (ranges is not null) await ranges.CloseAsync();
        if (reader is not null) await reader.CloseAsync();
    }

    private async ValueTask StopLoopsAsync()
    {
        if (loops.Count == 0) return;
        await stop.CancelAsync();
        state.WriterWake.Set();
        await Task.WhenAll(loops);
        loops.Clear();
    }

    private Task Launch(Func<CancellationToken, Task> loop) =>
        Task.Factory.StartNew(
            () => loop(stop.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
}
