using KvTier.Client.Connections;
using KvTier.Client.Routing;

namespace KvTier.Client;

/// <summary>
/// A client of a cluster: knows its map, keeps a <see cref="KvTierClient"/> for each silo that it has to do with, and sends each block to
/// the silo that owns it. Thread-safe; make one per process and cluster.
/// </summary>
/// <remarks>It works with a silo outside of a cluster as well, which then owns everything.</remarks>
public sealed class KvClusterClient : IAsyncDisposable
{
    private readonly KvClusterClientOptions options;
    private readonly MapSource maps;
    private readonly HotGroups hot;
    private readonly Lock gate = new();
    private readonly Dictionary<NamespaceDescriptor, KvClusterNamespace> namespaces = [];
    private readonly SemaphoreSlim connecting = new(1);
    private bool disposed;

    /// <summary>Makes a client that asks for the map with its first request.</summary>
    /// <param name="options">How; copied.</param>
    /// <exception cref="KvException">The options are not valid.</exception>
    public KvClusterClient(KvClusterClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { } error) throw new KvException(error);
        this.options = options.Clone();
        Time = this.options.Silo.TimeProvider;
        maps = new MapSource(this.options);
        hot = new HotGroups(Time);
        Budget = new HedgeBudget(this.options.HedgeShare);
    }

    /// <summary>The newest map that is known; null before the first request. Outside of a cluster it has epoch 0 and one silo.</summary>
    public ClusterMap? Map => maps.Table?.Map;

    /// <summary>What routing did since the client was made.</summary>
    public ClusterClientFigures Figures => new(
        maps.Changes, Metrics.ReroutedBlocks, Metrics.Hedges, Metrics.HedgesWon, maps.Table?.Links.Sum(link => link.CorruptBlocks) ?? 0);

    internal TimeProvider Time { get; }

    internal TimeSpan RequestTimeout => options.Silo.RequestTimeout;

    internal RouteTable Table => maps.Table!;

    internal RoutingMetrics Metrics { get; } = new();

    internal HedgeBudget Budget { get; }

    /// <summary>Makes a client and fetches the map.</summary>
    /// <param name="options">How; copied.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>The client; <see cref="ErrorCode.InvalidArgument"/> when the options are not valid, else why the last of the silos to begin
    /// with gave no map.</returns>
    public static async ValueTask<Result<KvClusterClient>> ConnectAsync(
        KvClusterClientOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { } invalid) return invalid;
        var client = new KvClusterClient(options);
        bool connected = false;
        try
        {
            if (await client.EnsureMapAsync(cancellationToken).ConfigureAwait(false) is { } error) return error;
            connected = true;
            return client;
        }
        finally
        {
            if (!connected) await client.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Opens a namespace. Each silo registers it when it first sees it.</summary>
    /// <param name="descriptor">Tenant and profile.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The namespace; <see cref="ErrorCode.NamespaceMismatch"/> when the silo that was asked knows another profile under the
    /// name.</returns>
    public async ValueTask<Result<KvClusterNamespace>> OpenNamespaceAsync(
        NamespaceDescriptor descriptor, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        if (descriptor.Validate() is { } invalid) return invalid;
        if (await EnsureMapAsync(cancellationToken).ConfigureAwait(false) is { } unreachable) return unreachable;
        KvClusterNamespace? opened;
        lock (gate)
        {
            if (!namespaces.TryGetValue(descriptor, out opened))
            {
                opened = new KvClusterNamespace(this, descriptor, namespaces.Count);
                namespaces.Add(descriptor, opened);
            }
        }

        if (await opened.PingAsync(cancellationToken).ConfigureAwait(false) is { } error) return error;
        return opened;
    }

    /// <summary>Asks for a newer map.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The newest map that is known then.</returns>
    public async ValueTask<Result<ClusterMap>> RefreshAsync(CancellationToken cancellationToken = default)
    {
        if (await EnsureMapAsync(cancellationToken).ConfigureAwait(false) is { } error) return error;
        await maps.RefreshAsync(null).WaitAsync(cancellationToken).ConfigureAwait(false);
        return Table.Map;
    }

    /// <summary>Closes all connections. Requests in flight end with an error.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
        }

        await maps.DisposeAsync().ConfigureAwait(false);
        Metrics.Dispose();
        connecting.Dispose();
    }

    /// <summary>Throws once the client is disposed.</summary>
    internal void CheckOpen() => ObjectDisposedException.ThrowIf(disposed, this);

    internal void Heard(long epoch, SiloLink from) => maps.Heard(epoch, from);

    internal void Suspected() => maps.Suspected();

    internal int CopiesOf(BlockId group) => hot.IsEmpty ? 1 : hot.CopiesOf(group);

    internal void NoteCopies(BlockId group, int copies) => hot.Note(group, copies);

    /// <summary>How long the try of a round may take: it is doubled each time, so that what is only slow gets through.</summary>
    internal TimeSpan TryTimeout(int round, long deadline)
    {
        TimeSpan left = ClientClock.Until(Time, deadline);
        TimeSpan longest = options.TryTimeout * Math.Pow(2, Math.Min(round, 10));
        TimeSpan span = left < longest ? left : longest;
        return span > TimeSpan.FromMilliseconds(1) ? span : TimeSpan.FromMilliseconds(1);
    }

    /// <summary>Waits until the map was asked for.</summary>
    /// <returns>True when there is another one than a table's.</returns>
    internal async ValueTask<bool> RefreshAsync(RouteTable known, SiloLink? hint, long deadline, CancellationToken cancellationToken)
    {
        if (Table != known) return true;
        TimeSpan left = ClientClock.Until(Time, deadline);
        if (left <= TimeSpan.Zero) return false;
        Task asked = maps.RefreshAsync(hint).WaitAsync(left, Time, cancellationToken);
        await asked.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        return Table != known;
    }

    /// <summary>Waits before a request is routed anew by the same map.</summary>
    internal async ValueTask PauseAsync(int pauses, long deadline, CancellationToken cancellationToken)
    {
        double ms = options.RetryDelay.TotalMilliseconds * Math.Pow(2, Math.Min(pauses, 16));
        ms = Math.Min(ms, options.RetryDelayMax.TotalMilliseconds);
        ms *= 0.5 + (Random.Shared.NextDouble() / 2);
        ms = Math.Min(ms, ClientClock.Until(Time, deadline).TotalMilliseconds);
        if (ms > 0) await Task.Delay(TimeSpan.FromMilliseconds(ms), Time, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>How long a get of so many bytes waits before a second silo is asked; null for never.</summary>
    internal TimeSpan? HedgeDelay(SiloLink link, long bytes)
    {
        if (!options.HedgeEnabled) return null;
        if (options.HedgeDelay is { } always) return always;
        TimeSpan slow = link.Latency.SlowOf(bytes);
        if (slow == TimeSpan.Zero) return null;
        return slow > options.HedgeDelayMin ? slow : options.HedgeDelayMin;
    }

    private async ValueTask<KvError?> EnsureMapAsync(CancellationToken cancellationToken)
    {
        CheckOpen();
        if (maps.Table is not null) return null;
        await connecting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return maps.Table is not null ? null : await maps.ConnectAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            connecting.Release();
        }
    }
}
