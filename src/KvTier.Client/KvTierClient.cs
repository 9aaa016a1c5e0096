namespace KvTier.Client;

/// <summary>
/// A connection to one silo over TCP, a Unix socket or shared memory. Thread-safe; make one per process and silo.
/// </summary>
/// <remarks>Requests of all callers share a few connections and are answered in any order. A connection that is lost is made again by the
/// next request, and namespaces are opened again on it; leases and reservations of the lost one are void.</remarks>
public sealed partial class KvTierClient : IAsyncDisposable
{
    /// <summary>Makes a client that connects with its first request.</summary>
    /// <exception cref="KvException">The options are not valid.</exception>
    public KvTierClient(KvTierClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { } error) throw new KvException(error);
    }

    /// <summary>Makes a client and connects it.</summary>
    /// <param name="options">How; copied.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>The client; <see cref="ErrorCode.Unavailable"/> or <see cref="ErrorCode.DeadlineExceeded"/> when the silo can't be reached,
    /// <see cref="ErrorCode.VersionMismatch"/>, <see cref="ErrorCode.Unauthorized"/> or <see cref="ErrorCode.Unsupported"/> when it refuses.</returns>
    public static ValueTask<Result<KvTierClient>> ConnectAsync(KvTierClientOptions options, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>What the silo said of itself on the latest connection; null before the first.</summary>
    public SiloInfo? Silo => throw new NotImplementedException();

    /// <summary>Leases not yet disposed, of connections that stand.</summary>
    public int LeasesHeld => throw new NotImplementedException();

    /// <summary>Reservations neither committed nor disposed, of connections that stand.</summary>
    public int ReservationsHeld => throw new NotImplementedException();

    /// <summary>Connections that stand now.</summary>
    public int ConnectionsOpen => throw new NotImplementedException();

    /// <summary>Opens a namespace, registering it when the silo does not know it.</summary>
    /// <param name="descriptor">Tenant and profile.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The namespace; <see cref="ErrorCode.NamespaceMismatch"/> when the silo knows another profile under the name.</returns>
    public ValueTask<Result<KvNamespace>> OpenNamespaceAsync(NamespaceDescriptor descriptor, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>The namespaces that the silo knows.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    public ValueTask<Result<NamespaceInfo[]>> ListNamespacesAsync(CancellationToken cancellationToken = default) => throw new NotImplementedException();

    /// <summary>One round trip that does nothing.</summary>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Null when the silo answered.</returns>
    public ValueTask<KvError?> PingAsync(TimeSpan timeout = default, CancellationToken cancellationToken = default) => throw new NotImplementedException();

    /// <summary>The silo's figures and limits as one JSON object.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    public ValueTask<Result<string>> StatAsync(CancellationToken cancellationToken = default) => throw new NotImplementedException();

    /// <summary>Closes the connections. Requests in flight end with <see cref="ErrorCode.Unavailable"/>; leases and reservations are void.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
