using KvTier.Engine;

namespace KvTier.Silo;

/// <summary>
/// How a silo is set up: immutable, checked by <see cref="Validate"/> before anything starts. Every property that can be set from a file,
/// the environment or the command line stands in <see cref="SiloOptionTable"/>.
/// </summary>
public sealed record SiloOptions
{
    /// <summary>The options that hold when nothing is said: loopback only, 1 GiB of host memory, no SSD tier.</summary>
    public static SiloOptions Default { get; } = new();

    /// <summary>
    /// Name of the silo in logs, <c>stat</c>, the answer to Hello and the cluster, where it is unique. Default <c>silo</c>, which in a
    /// cluster stands for the machine's name.
    /// </summary>
    public string Name { get; init; } = SiloName.Default;

    /// <summary>True to listen on TCP for the native protocol. Default true.</summary>
    public bool Tcp { get; init; } = true;

    /// <summary>IP address of the native TCP listener. Default 127.0.0.1.</summary>
    public string Address { get; init; } = "127.0.0.1";

    /// <summary>Port of the native TCP listener; 0 lets the system choose. Default 7420.</summary>
    public int Port { get; init; } = 7420;

    /// <summary>Path of the Unix socket of the native protocol; null for none. Default null.</summary>
    public string? UnixSocket { get; init; }

    /// <summary>
    /// True to let clients of the same user on the Unix socket map the arena. Default true; without a Unix socket it has no effect.
    /// </summary>
    public bool LocalPath { get; init; } = true;

    /// <summary>The RESP2 listener.</summary>
    public RespOptions Resp { get; init; } = new();

    /// <summary>The HTTP listener.</summary>
    public HttpOptions Http { get; init; } = new();

    /// <summary>Folder of the SSD tier; null for none. Default null.</summary>
    public string? DataDirectory { get; init; }

    /// <summary>Most bytes that the SSD tier may take on the disk. Default 16 GiB; without a data directory it has no effect.</summary>
    public long SsdBytes { get; init; } = 16L << 30;

    /// <summary>Bytes of host memory for blocks. Default 1 GiB.</summary>
    public long HostBytes { get; init; } = 1L << 30;

    /// <summary>Most blocks in host memory; 0 for as many as fit. Default 0.</summary>
    public long HostBlocks { get; init; }

    /// <summary>True to keep the arena in shared memory. Default true.</summary>
    public bool SharedMemory { get; init; } = true;

    /// <summary>Victim order of the host tier: <c>lru</c> or <c>s3fifo</c>. Default <c>lru</c>.</summary>
    public string Policy { get; init; } = "lru";

    /// <summary>True to touch all host memory at start. Default false.</summary>
    public bool Prefault { get; init; }

    /// <summary>Blocks that the ghost list remembers. Default 65,536.</summary>
    public int GhostBlocks { get; init; } = 65_536;

    /// <summary>Longest a put waits for a slot, in ms. Default 10,000.</summary>
    public int PutWaitMs { get; init; } = 10_000;

    /// <summary>SSD reads at one time. Default 16.</summary>
    public int SsdReads { get; init; } = 16;

    /// <summary>Longest that stopping waits for the SSD to take the end of the log, in ms. Default 10,000.</summary>
    public int SsdCloseMs { get; init; } = 10_000;

    /// <summary>Bytes that one write-behind batch takes at most. Default 64 MiB.</summary>
    public long WriteBatchBytes { get; init; } = 64L << 20;

    /// <summary>Sequences and recall.</summary>
    public RecallSettings Recall { get; init; } = new();

    /// <summary>The device tier.</summary>
    public DeviceSettings Device { get; init; } = new();

    /// <summary>KV events.</summary>
    public EventSettings Events { get; init; } = new();

    /// <summary>What the silo is told of the engines it serves.</summary>
    public EngineSettings Engines { get; init; } = new();

    /// <summary>The cluster.</summary>
    public SiloClusterSettings Cluster { get; init; } = new();

    /// <summary>Engine regions.</summary>
    public RegionSettings Regions { get; init; } = new();

    /// <summary>Limits on requests, keys, blocks and connections.</summary>
    public Limits Limits { get; init; } = Limits.Default;

    /// <summary>Token that native and HTTP clients must show; null for none. Default null.</summary>
    public string? Token { get; init; }

    /// <summary>Longest that stopping waits for requests and for the log, in seconds. Default 30.</summary>
    public int DrainSeconds { get; init; } = 30;

    /// <summary>Deadline of a request that names none, in ms. Default 30,000.</summary>
    public int RequestDeadlineMs { get; init; } = 30_000;

    /// <summary>Longest that a client may leave a send waiting, or stop in the middle of a frame, in ms. Default 30,000.</summary>
    public int StallTimeoutMs { get; init; } = 30_000;

    /// <summary>Longest from connecting to a Hello, in ms. Default 10,000.</summary>
    public int HelloTimeoutMs { get; init; } = 10_000;

    /// <summary>Bytes of the send and receive buffers that the system is asked to keep for a connection. Default 4 MiB.</summary>
    public int SocketBufferBytes { get; init; } = 4 << 20;

    /// <summary>Namespaces registered at start, besides those that the data directory remembers. Default none.</summary>
    public IReadOnlyList<NamespaceDescriptor> Namespaces { get; init; } = [];

    /// <summary>Checks every option and what must agree between them.</summary>
    /// <returns>Null when all is well, else the first error: field, value and limit.</returns>
    public KvError? Validate()
    {
        foreach (SiloOption option in SiloOptionTable.All)
        {
            if (option.Check(this) is { } error) return error;
        }

        foreach (NamespaceDescriptor descriptor in Namespaces)
        {
            if (descriptor.Validate() is { } error) return error with { Field = $"namespaces: {error.Field}" };
        }

        if (Namespaces.Count > Limits.NamespacesMax) return KvError.LimitExceeded("namespaces", Namespaces.Count, Limits.NamespacesMax);
        if (RequestDeadlineMs > Limits.DeadlineMsMax) return KvError.LimitExceeded("requestDeadlineMs", RequestDeadlineMs,
            Limits.DeadlineMsMax);
        if (Device.Validate() is { } device) return device;
        if (Events.Validate() is { } events) return events;
        if (SiloClusterCheck.Check(this) is { } cluster) return cluster;
        if (!Tcp && UnixSocket is null && !Resp.Enabled)
            return KvError.InvalidArgument("tcp", "false", "true, or a unixSocket, or resp.enabled: nobody could reach the silo");
        return null;
    }

    /// <summary>What the engine is told.</summary>
    internal EngineOptions ToEngineOptions() => new()
    {
        Limits = Limits,
        HostBlocksMax = HostBlocks,
        Policy = Policy,
        GhostBlocks = GhostBlocks,
        PutWaitMs = PutWaitMs,
        SsdReadsMax = SsdReads,
        WriteBatchBytes = WriteBatchBytes,
    };
}

/// <summary>The RESP2 listener's options.</summary>
public sealed record RespOptions
{
    /// <summary>True to listen. Default false.</summary>
    public bool Enabled { get; init; }

    /// <summary>IP address to listen on. Default 127.0.0.1.</summary>
    public string Address { get; init; } = "127.0.0.1";

    /// <summary>Port; 0 lets the system choose. Default 7421.</summary>
    public int Port { get; init; } = 7421;

    /// <summary>Password for AUTH; null for none. Default null.</summary>
    public string? Password { get; init; }

    /// <summary>
    /// Most bytes of host memory that MGETs lease ahead of sending them, over all connections; 0 for a quarter of it. Default 0.
    /// </summary>
    public long HeldBytes { get; init; }
}

/// <summary>The HTTP listener's options.</summary>
public sealed record HttpOptions
{
    /// <summary>True to listen. Default true.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>IP address to listen on. Default 127.0.0.1.</summary>
    public string Address { get; init; } = "127.0.0.1";

    /// <summary>Port; 0 lets the system choose. Default 7422.</summary>
    public int Port { get; init; } = 7422;
}
