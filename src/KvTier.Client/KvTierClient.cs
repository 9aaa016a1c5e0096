using KvTier.Client.Connections;
using KvTier.Client.Metrics;
using KvTier.Client.Requests;
using Polly;

namespace KvTier.Client;

/// <summary>
/// A connection to one silo over TCP, a Unix socket or shared memory. Thread-safe; make one per process and silo.
/// </summary>
/// <remarks>Requests of all callers share a few connections and are answered in any order. A connection that is lost is made again by the
/// next request, and namespaces are opened again on it; leases and reservations of the lost one are void.</remarks>
public sealed partial class KvTierClient : IAsyncDisposable
{
    private readonly KvTierClientOptions options;
    private readonly TimeProvider time;
    private readonly ConnectionPool pool;
    private readonly ResiliencePipeline<KvError?>? pipeline;
    private readonly Lock gate = new();
    private readonly Dictionary<NamespaceDescriptor, KvNamespace> namespaces = [];
    private bool disposed;

    /// <summary>Makes a client that connects with its first request.</summary>
    /// <param name="options">How; copied.</param>
    /// <exception cref="KvException">The options are not valid.</exception>
    public KvTierClient(KvTierClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { } error) throw new KvException(error);
        this.options = options.Clone();
        time = this.options.TimeProvider;
        ResilienceOptions resilience = this.options.Resilience;
        var backoff = new DialBackoff(resilience.DialDelay, resilience.DialDelayMax, Random.Shared.NextDouble, time);
        pool = new ConnectionPool(this.options.Connections, new Dialer(this.options, Metrics), backoff, time);
        pipeline = Resilience.Build(this.options.Resilience, time, Metrics);
    }

    /// <summary>What the silo said of itself on the latest connection; null before the first.</summary>
    public SiloInfo? Silo => pool.Silo;

    /// <summary>Leases not yet disposed, of connections that stand.</summary>
    public int LeasesHeld => pool.Sum(static connection => connection.Local?.Leases.Count ?? 0);

    /// <summary>Reservations neither committed nor disposed, of connections that stand.</summary>
    public int ReservationsHeld => pool.Sum(static connection => connection.Local?.Reservations.Count ?? 0);

    /// <summary>Connections that stand now.</summary>
    public int ConnectionsOpen => pool.Sum(static _ => 1);

    /// <summary>Blocks whose bytes failed their check in this client since it was made.</summary>
    public long CorruptBlocks => Metrics.CorruptBlocks;

    internal ClientMetrics Metrics { get; } = new();

    internal RequestPool<PutExchange> Puts { get; } = new();

    internal RequestPool<GetExchange> Gets { get; } = new();

    internal RequestPool<IdsExchange> Ids { get; } = new();

    internal RequestPool<PrefixExchange> Prefixes { get; } = new();

    internal RequestPool<DescribeExchange> Describes { get; } = new();

    internal RequestPool<LocalGetExchange> LocalGets { get; } = new();

    internal RequestPool<LocalReserveExchange> LocalReserves { get; } = new();

    internal RequestPool<LocalCommitExchange> LocalCommits { get; } = new();

    internal RequestPool<WireRecallExchange> Recalls { get; } = new();

    internal RequestPool<LocalRecallExchange> LocalRecalls { get; } = new();

    /// <summary>Makes a client and connects it.</summary>
    /// <param name="options">How; copied.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>The client; <see cref="ErrorCode.InvalidArgument"/> when the options are not valid, <see cref="ErrorCode.Unavailable"/> or
    /// <see cref="ErrorCode.DeadlineExceeded"/> when the silo can't be reached, <see cref="ErrorCode.VersionMismatch"/>,
    /// <see cref="ErrorCode.Unauthorized"/> or <see cref="ErrorCode.Unsupported"/> when it refuses.</returns>
    public static async ValueTask<Result<KvTierClient>> ConnectAsync(KvTierClientOptions options,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { } invalid) return invalid;
        var client = new KvTierClient(options);
        bool connected = false;
        try
        {
            if (await client.PingAsync(default, cancellationToken).ConfigureAwait(false) is { } error) return error;
            connected = true;
            return client;
        }
        finally
        {
            if (!connected) await client.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Opens a namespace, registering it when the silo does not know it.</summary>
    /// <param name="descriptor">Tenant and profile.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The namespace; <see cref="ErrorCode.NamespaceMismatch"/> when the silo knows another profile under the name.</returns>
    public async ValueTask<Result<KvNamespace>> OpenNamespaceAsync(NamespaceDescriptor descriptor,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        if (descriptor.Validate() is { } invalid) return invalid;
        KvNamespace opened = NamespaceOf(descriptor);
        using var ping = new PingExchange { Namespace = opened };
        if (await ExecuteAsync(ping, default, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return opened;
    }

    /// <summary>A namespace that the first request about it opens.</summary>
    internal KvNamespace NamespaceOf(NamespaceDescriptor descriptor)
    {
        lock (gate)
        {
            if (namespaces.TryGetValue(descriptor, out KvNamespace? opened)) return opened;
            opened = new KvNamespace(this, descriptor, namespaces.Count);
            namespaces.Add(descriptor, opened);
            return opened;
        }
    }

    /// <summary>The namespaces that the silo knows.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<NamespaceInfo[]>> ListNamespacesAsync(CancellationToken cancellationToken = default)
    {
        using var list = new NamespaceListExchange();
        if (await ExecuteAsync(list, default, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return list.Namespaces;
    }

    /// <summary>One round trip that does nothing.</summary>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Null when the silo answered.</returns>
    public async ValueTask<KvError?> PingAsync(TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        using var ping = new PingExchange();
        return await ExecuteAsync(ping, timeout, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The silo's figures and limits as one JSON object.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<string>> StatAsync(CancellationToken cancellationToken = default)
    {
        using var stat = new StatExchange();
        if (await ExecuteAsync(stat, default, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return stat.Json;
    }

    /// <summary>
    /// Closes the connections. Requests in flight end with <see cref="ErrorCode.Unavailable"/>; leases and reservations are void.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
        }

        await pool.DisposeAsync().ConfigureAwait(false);
        Puts.Dispose();
        Gets.Dispose();
        Ids.Dispose();
        Prefixes.Dispose();
        Describes.Dispose();
        LocalGets.Dispose();
        LocalReserves.Dispose();
        LocalCommits.Dispose();
        Recalls.Dispose();
        LocalRecalls.Dispose();
        Metrics.Dispose();
    }
}
