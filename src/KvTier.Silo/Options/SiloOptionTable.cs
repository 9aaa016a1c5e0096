namespace KvTier.Silo;

/// <summary>Every option that a file, the environment or the command line may set. The reference page is made of it.</summary>
public static partial class SiloOptionTable
{
    /// <summary>All options, in the order of the reference page.</summary>
    public static IReadOnlyList<SiloOption> All { get; } =
    [
        Name(
            "name", "Name of the silo; in a cluster unique, and there by default the machine's.", o => o.Name,
            (o, v) => o with { Name = v }),
        Switch("tcp", "Listen on TCP for the native protocol.", o => o.Tcp, (o, v) => o with { Tcp = v }),
        Address("address", "Address of the native TCP listener.", o => o.Address, (o, v) => o with { Address = v }),
        Port("port", "Port of the native TCP listener; 0 lets the system choose.", o => o.Port, (o, v) => o with { Port = v }),
        FilePath("unixSocket", "Unix socket of the native protocol; empty for none.", 100, o => o.UnixSocket, (o, v) =>
            o with { UnixSocket = v }),
        Switch("localPath", "Let clients of the same user on the Unix socket map the arena.", o => o.LocalPath, (o, v) =>
            o with { LocalPath = v }),
        Switch("resp.enabled", "Listen for RESP2, the protocol of Redis.", o => o.Resp.Enabled, (o, v) =>
            o with { Resp = o.Resp with { Enabled = v } }),
        Address("resp.address", "Address of the RESP2 listener.", o => o.Resp.Address, (o, v) =>
            o with { Resp = o.Resp with { Address = v } }),
        Port("resp.port", "Port of the RESP2 listener; 0 lets the system choose.", o => o.Resp.Port, (o, v) =>
            o with { Resp = o.Resp with { Port = v } }),
        Secret("resp.password", "Password that AUTH asks for; empty for none.", o => o.Resp.Password, (o, v) =>
            o with { Resp = o.Resp with { Password = v } }),
        Bytes("resp.heldBytes", 0, 1L << 44,
            "Most host memory that MGETs lease ahead of sending it, over all connections; 0 for a quarter of `hostBytes`.",
            o => o.Resp.HeldBytes, (o, v) => o with { Resp = o.Resp with { HeldBytes = v } }),
        Switch("http.enabled", "Listen for HTTP: health and metrics.", o => o.Http.Enabled, (o, v) =>
            o with { Http = o.Http with { Enabled = v } }),
        Address("http.address", "Address of the HTTP listener.", o => o.Http.Address, (o, v) =>
            o with { Http = o.Http with { Address = v } }),
        Port("http.port", "Port of the HTTP listener; 0 lets the system choose.", o => o.Http.Port, (o, v) =>
            o with { Http = o.Http with { Port = v } }),
        FilePath("dataDirectory", "Folder of the SSD tier; empty for none.", 4000, o => o.DataDirectory, (o, v) =>
            o with { DataDirectory = v }),
        Bytes("ssdBytes", 64L << 20, 1L << 50, "Most bytes that the SSD tier may take on the disk.", o => o.SsdBytes, (o, v) =>
            o with { SsdBytes = v }),
        Bytes("hostBytes", 1L << 20, 1L << 44, "Host memory for blocks.", o => o.HostBytes, (o, v) => o with { HostBytes = v }),
        Number("hostBlocks", 0, 1L << 32, "Most blocks in host memory; 0 for as many as fit.", o => o.HostBlocks, (o, v) =>
            o with { HostBlocks = v }),
        Switch("sharedMemory", "Keep host memory in /dev/shm, which the local path needs.", o => o.SharedMemory, (o, v) =>
            o with { SharedMemory = v }),
        OneOf("policy", ["lru", "s3fifo"], "Victim order of the host tier.", o => o.Policy, (o, v) => o with { Policy = v }),
        Switch("prefault", "Touch all host memory at start.", o => o.Prefault, (o, v) => o with { Prefault = v }),
        Number("ghostBlocks", 0, 1 << 28, "Evicted blocks remembered to say what a larger tier would have hit; 0 switches it off.",
            o => o.GhostBlocks, (o, v) => o with { GhostBlocks = (int)v }),
        Number("putWaitMs", 0, 300_000, "Longest a put waits for a slot.", o => o.PutWaitMs, (o, v) => o with { PutWaitMs = (int)v }),
        Number("ssdReads", 1, 1024, "SSD reads at one time.", o => o.SsdReads, (o, v) => o with { SsdReads = (int)v }),
        Number("ssdCloseMs", 100, 600_000, "Longest that stopping waits for the SSD to take the end of the log; then it is left as it is.",
            o => o.SsdCloseMs, (o, v) => o with { SsdCloseMs = (int)v }),
        Bytes("writeBatchBytes", 1L << 20, 1L << 30, "Most bytes of one write-behind batch.", o => o.WriteBatchBytes, (o, v) =>
            o with { WriteBatchBytes = v }),
        .. RecallOptionList(),
        .. DeviceOptionList(),
        .. EventOptionList(),
        .. EngineOptionList(),
        .. ClusterOptionList(),
        .. RegionOptionList(),
        Secret("token", "Token that native and HTTP clients must show; empty for none.", o => o.Token, (o, v) => o with { Token = v }),
        Number("drainSeconds", 0, 3600, "Longest that stopping waits for requests and for the log.", o => o.DrainSeconds, (o, v) =>
            o with { DrainSeconds = (int)v }),
        Number("requestDeadlineMs", 1, 3_600_000, "Deadline of a request that names none.",
            o => o.RequestDeadlineMs, (o, v) => o with { RequestDeadlineMs = (int)v }),
        Number("stallTimeoutMs", 10, 3_600_000, "Longest that a client may leave a send waiting, or stop in the middle of a frame.",
            o => o.StallTimeoutMs, (o, v) => o with { StallTimeoutMs = (int)v }),
        Number("helloTimeoutMs", 10, 3_600_000, "Longest from connecting to a Hello.", o => o.HelloTimeoutMs, (o, v) =>
            o with { HelloTimeoutMs = (int)v }),
        Bytes("socketBufferBytes", 4096, 1L << 28, "Send and receive buffer that the system is asked to keep for a connection.",
            o => o.SocketBufferBytes, (o, v) => o with { SocketBufferBytes = (int)v }),
        NamespaceList(),
        .. LimitOptions(),
    ];

    private static readonly Dictionary<string,
        SiloOption> byName = All.ToDictionary(option => option.Name, StringComparer.OrdinalIgnoreCase);

    /// <summary>Finds an option by name, whatever its letters' case.</summary>
    /// <returns>Null when there is none.</returns>
    public static SiloOption? Find(string name) => byName.GetValueOrDefault(name);

    /// <summary>An error for a name that is no option, which names the nearest that is.</summary>
    internal static KvError Unknown(string name, string source) =>
        KvError.InvalidArgument($"{source}: option", name, $"a known option; the nearest is {NearestName.Of(name, byName.Keys)}");

    private static IEnumerable<SiloOption> LimitOptions()
    {
        yield return Limit("keyBytesMax", 1, 512, "Longest key in bytes.", l => l.KeyBytesMax, (l, v) => l with { KeyBytesMax = (int)v });
        yield return Limit("blockBytesMax", 1, 64 << 20, "Largest block.", l => l.BlockBytesMax, (l, v) =>
            l with { BlockBytesMax = (int)v }, bytes: true);
        yield return Limit("batchBlocksMax", 1, 65_536, "Most blocks in one request.", l => l.BatchBlocksMax, (l, v) =>
            l with { BatchBlocksMax = (int)v });
        yield return Limit("frameBodyBytesMax", 4096, 64 << 20, "Most bytes of a frame's body.",
            l => l.FrameBodyBytesMax, (l, v) => l with { FrameBodyBytesMax = (int)v }, bytes: true);
        yield return Limit("framePayloadBytesMax", 1, uint.MaxValue, "Most bytes of a frame's payload.",
            l => l.FramePayloadBytesMax, (l, v) => l with { FramePayloadBytesMax = v }, bytes: true);
        yield return Limit("connectionsMax", 1, 65_536, "Most client connections.", l => l.ConnectionsMax, (l, v) =>
            l with { ConnectionsMax = (int)v });
        yield return Limit("inflightRequestsMax", 1, 65_536, "Most requests in flight on one connection.",
            l => l.InflightRequestsMax, (l, v) => l with { InflightRequestsMax = (int)v });
        yield return Limit("leasesMax", 1, 1 << 20, "Most read leases of one connection.", l => l.LeasesMax, (l, v) =>
            l with { LeasesMax = (int)v });
        yield return Limit("reservationsMax", 1, 1 << 20, "Most reservations of one connection, revoked ones included.",
            l => l.ReservationsMax, (l, v) => l with { ReservationsMax = (int)v });
        yield return Limit("leaseMsMax", 1, 3_600_000, "Longest lease or reservation in ms.", l => l.LeaseMsMax, (l, v) =>
            l with { LeaseMsMax = (int)v });
        yield return Limit("pinMsMax", 1, 31_536_000_000, "Longest pin in ms.", l => l.PinMsMax, (l, v) => l with { PinMsMax = v });
        yield return Limit("deadlineMsMax", 1, 3_600_000, "Longest deadline that a request may name, in ms.",
            l => l.DeadlineMsMax, (l, v) => l with { DeadlineMsMax = (int)v });
        yield return Limit("namespacesMax", 1, 65_535, "Most namespaces.", l => l.NamespacesMax, (l, v) =>
            l with { NamespacesMax = (int)v });
    }
}
