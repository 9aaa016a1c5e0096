using System.Net;
using KvTier.Engine;
using KvTier.Kernels.Device;
using KvTier.Recall;
using KvTier.Silo.Clustering;
using KvTier.Silo.Engines;
using KvTier.Silo.Http;
using KvTier.Silo.Metrics;
using KvTier.Silo.Native;
using KvTier.Silo.Regions;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo;

/// <summary>
/// A whole silo in this process: tiers, engine and listeners. The executable runs one; demos and tests start as many as they like, on ports
/// that the system chooses.
/// </summary>
public sealed partial class SiloHost : IAsyncDisposable
{
    private readonly SiloOptions options;
    private readonly ILogger logger;
    private readonly ILoggerFactory loggers;
    private readonly TimeProvider time;
    private readonly SiloMetrics metrics = new();
    private readonly MetricCatalog catalog;
    private readonly SiloMeter meter;
    private readonly List<ISiloListener> listeners = [];
    private SiloStore? store;
    private SiloCluster? cluster;
    private NativeConnections? connections;
    private HttpListenerHost? http;
    private RegionReaper? reaper;
    private long readyAt;
    private int state;
    private int stopping;

    private SiloHost(SiloOptions options, ILoggerFactory loggers, TimeProvider time)
    {
        this.options = options;
        this.loggers = loggers;
        this.time = time;
        logger = loggers.CreateLogger("KvTier.Silo");
        catalog = new MetricCatalog(metrics, () => store?.Engine.Stats ?? new EngineStats(),
            () => store?.RecallStats ?? new RecallStats(), () => StatDevice.Of(store?.Device), () => State == SiloState.Ready);
        meter = new SiloMeter(catalog);
    }

    /// <summary>What it is doing.</summary>
    public SiloState State
    {
        get
        {
            var now = (SiloState)Volatile.Read(ref state);
            return now == SiloState.Ready && cluster is { IsMember: false } ? SiloState.Joining : now;
        }
    }

    /// <summary>Where it listens.</summary>
    public SiloEndpoints Endpoints { get; private set; } = new();

    /// <summary>The options it was started with.</summary>
    public SiloOptions Options => options;

    /// <summary>The store; of use to programs that embed a silo.</summary>
    public BlockEngine Engine => store?.Engine ?? throw new InvalidOperationException("the silo is not started");

    /// <summary>Figures of recall.</summary>
    public RecallStats RecallStats => store?.RecallStats ?? new RecallStats();

    /// <summary>What recovery found; null without a data directory.</summary>
    public RecoverySummary? Recovery => store?.Recovery;

    /// <summary>The device of the device tier; null when there is none.</summary>
    public DeviceInfo? Device => store?.Device?.Info;

    /// <summary>The connections; tests look at them.</summary>
    internal NativeConnections Connections => connections!;

    /// <summary>What is counted of engine regions; tests look at it.</summary>
    internal RegionCounters RegionCounters => metrics.Regions;

    /// <summary>The metrics; tests look at them.</summary>
    internal MetricCatalog Catalog => catalog;

    /// <summary>Starts a silo and returns when it serves.</summary>
    /// <param name="options">How; checked first.</param>
    /// <param name="loggers">Where to log; null for nowhere.</param>
    /// <param name="cancellation">Gives up the start between two of its steps.</param>
    /// <returns>The silo, or why it can't start: a bad option, a port or path that is taken, a folder that another silo owns,
    /// a newer format.</returns>
    public static Task<Result<SiloHost>> StartAsync(SiloOptions options, ILoggerFactory? loggers = null,
        CancellationToken cancellation = default) =>
        StartAsync(options, loggers, TimeProvider.System, beforeRecovery: null, cancellation);

    /// <summary>
    /// Stops: no new connections, requests in flight are answered, every sealed block is written to the log, then all is closed.
    /// </summary>
    /// <returns>Null when all of it was done within <see cref="SiloOptions.DrainSeconds"/>, else what was not.</returns>
    public async Task<KvError?> StopAsync()
    {
        if (Interlocked.Exchange(ref stopping, 1) != 0) return null;
        KvError? incomplete = null;
        if (Volatile.Read(ref state) == (int)SiloState.Ready)
        {
            SetState(SiloState.Draining);
            logger.Draining(options.DrainSeconds);
            long start = time.GetTimestamp();
            var deadline = TimeSpan.FromSeconds(options.DrainSeconds);
            if (cluster is not null) await cluster.LeaveAsync(deadline / 2);
            incomplete = await DrainAsync(deadline - time.GetElapsedTime(start));
            if (incomplete is not null) logger.DrainIncomplete(incomplete.Message);
        }

        await CloseAsync();
        return incomplete;
    }

    /// <summary>Stops, if that was not done yet.</summary>
    public async ValueTask DisposeAsync() => await StopAsync();

    /// <summary>Starts a silo with a clock, with something to wait for between opening and recovering, and with a device of the
    /// caller's.</summary>
    internal static async Task<Result<SiloHost>> StartAsync(
        SiloOptions options, ILoggerFactory? loggers, TimeProvider time, Func<SiloHost, Task>? beforeRecovery,
            CancellationToken cancellation, Func<DeviceOptions, Result<RecallDevice>>? openDevice = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { } invalid) return invalid;
        loggers ??= Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance;
        var host = new SiloHost(SiloName.Resolve(options), loggers, time);
        try
        {
            if (await host.RunStartAsync(beforeRecovery, openDevice ?? RecallDevice.Open, cancellation) is not { } error) return host;
            await host.CloseAsync();
            return error;
        }
        catch
        {
            await host.CloseAsync();
            throw;
        }
    }

    private async Task<KvError?> RunStartAsync(
        Func<SiloHost, Task>? beforeRecovery, Func<DeviceOptions, Result<RecallDevice>> openDevice, CancellationToken cancellation)
    {
        if (options.Http.Enabled)
        {
            if (!(await HttpListenerHost.StartAsync(options, catalog, () => State, () => EngineStat().ToJson(), loggers)).TryGet(out http,
                out KvError? error)) return error;
            Endpoints = Endpoints with { Http = http.EndPoint };
        }

        cancellation.ThrowIfCancellationRequested();
        if (!SiloStore.Open(options, time, logger).TryGet(out store, out KvError? storeError)) return storeError;
        SetState(SiloState.Recovering);
        if (beforeRecovery is not null) await beforeRecovery(this);
        cancellation.ThrowIfCancellationRequested();
        if (await Task.Run(() => store.Recover(openDevice, logger), CancellationToken.None) is { } recoveryError) return recoveryError;
        if (BindNative(out NativeContext context) is { } listenError) return listenError;
        if (options.Events.IsOn && BindEvents(context) is { } eventError) return eventError;
        if (options.Resp.Enabled && BindResp() is { } respError) return respError;
        if (options.Cluster.IsOn && MakeCluster(context) is { } clusterError) return clusterError;
        await store.RestoreSequencesAsync(logger);
        cancellation.ThrowIfCancellationRequested();
        StartEngines();
        foreach (ISiloListener listener in listeners) listener.Accept();
        if (cluster is not null && await JoinAsync() is { } joinError) return joinError;
        if (options.Regions.Enabled && options.Regions.Reap && options.UnixSocket is not null)
            reaper = new RegionReaper(options.Regions, metrics.Regions, time, logger);
        readyAt = time.GetTimestamp();
        SetState(SiloState.Ready);
        logger.Ready(
            options.Name, HttpListenerHost.Version, Text(Endpoints.Native), Endpoints.UnixSocket ?? "off", Text(Endpoints.Resp),
                Text(Endpoints.Http));
        return null;
    }

    private KvError? BindNative(out NativeContext context)
    {
        desk = new EngineDesk(options, store!.Engine, time, loggers.CreateLogger("KvTier.Silo.Engines"));
        context = new NativeContext
        {
            Desk = desk,
            Options = options,
            Engine = store!.Engine,
            Sequences = store.Recall,
            Namespaces = store.Namespaces,
            Metrics = metrics,
            Logger = logger,
            Time = time,
            Stat = () => Stat().ToJson(),
        };
        connections = new NativeConnections(context);
        if (options.Tcp)
        {
            WarnIfOpen(options.Address, options.Token, "native");
            var tcp = new NativeListener(context, connections, new IPEndPoint(IPAddress.Parse(options.Address), options.Port));
            listeners.Add(tcp);
            if (tcp.Bind() is { } error) return error;
            Endpoints = Endpoints with { Native = (IPEndPoint)tcp.EndPoint };
        }

        if (options.UnixSocket is { } path)
        {
            var unix = new NativeListener(context, connections, new System.Net.Sockets.UnixDomainSocketEndPoint(path));
            listeners.Add(unix);
            if (unix.Bind() is { } error) return error;
            Endpoints = Endpoints with { UnixSocket = path };
        }

        return null;
    }

    private async Task<KvError?> DrainAsync(TimeSpan deadline)
    {
        long start = time.GetTimestamp();
        bool[] drained = await Task.WhenAll(listeners.Select(listener => listener.DrainAsync(deadline / 2)));
        TimeSpan left = deadline - time.GetElapsedTime(start);
        KvError? error = await store!.Engine.DrainAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero);
        return error ?? (drained.Contains(false)
            ? new KvError(ErrorCode.DeadlineExceeded, "drain: requests in flight", $"unanswered after {deadline.TotalSeconds / 2} s",
                "none")
            : null);
    }

    private async Task CloseAsync()
    {
        Interlocked.Exchange(ref stopping, 1);
        if (reaper is not null) await reaper.DisposeAsync();
        foreach (ISiloListener listener in listeners) await listener.DisposeAsync();
        if (sequences is not null) await sequences.DisposeAsync();
        unread?.Dispose();
        if (events is not null) await events.DisposeAsync();
        if (cluster is not null) await cluster.DisposeAsync();
        if (connections is not null) await connections.DisposeAsync();
        if (store is not null) await store.DisposeAsync();
        if (store is { IsAbandoned: true })
        {
            metrics.StoreAbandoned();
            logger.StoreAbandoned(options.SsdCloseMs);
        }

        SetState(SiloState.Stopped);
        if (http is not null) await http.DisposeAsync();
        meter.Dispose();
        logger.Stopped();
    }

    private SiloStat Stat()
    {
        EngineStats stats = store!.Engine.Stats;
        IReadOnlyList<NamespaceDescriptor> namespaces = store.Engine.Namespaces;
        return new SiloStat
        {
            Name = options.Name,
            Version = HttpListenerHost.Version,
            Protocol = Protocol.FrameHeader.Version,
            Pid = Environment.ProcessId,
            State = State.ToString().ToLowerInvariant(),
            UptimeSeconds = time.GetElapsedTime(readyAt).TotalSeconds,
            ArenaFallback = store.Engine.Arena.Fallback,
            Endpoints = new StatEndpoints(Endpoints.Native?.ToString(), Endpoints.UnixSocket, Endpoints.Resp?.ToString(),
                Endpoints.Http?.ToString())
            { Events = events?.Outlets[0].Address, EventsReplay = events?.Outlets[0].ReplayAddress },
            Options = SiloOptionTable.All.Where(option => !option.Secret).ToDictionary(option => option.Name, option =>
                option.Show(options)),
            Limits = options.Limits,
            Connections = connections!.Count,
            Namespaces = [.. namespaces.Index().Where(each => !each.Item.IsInternal).Select(each => new StatNamespace(
                each.Item.Name, each.Item.Id.ToString(), each.Item.Profile.BlockBytes, store.Engine.Count((ushort)each.Index)))],
            Engine = stats,
            Recall = store.RecallStats,
            Device = StatDevice.Of(store.Device),
            Misses = stats.Misses.Select((count, i) => (Name: ((MissReason)i).Name(), Count: count)).Skip(1).ToDictionary(miss =>
                miss.Name, miss => miss.Count),
            Recovery = store.Recovery,
            Engines = EngineStat(),
        };
    }

    private void WarnIfOpen(string address, string? secret, string listener)
    {
        if (secret is null && !IPAddress.IsLoopback(IPAddress.Parse(address))) logger.OpenToAll(address, listener);
    }

    private void SetState(SiloState next) => Volatile.Write(ref state, (int)next);

    private static string Text(IPEndPoint? endPoint) => endPoint?.ToString() ?? "off";
}
