using Microsoft.Extensions.Logging;

namespace KvTier.Silo;

/// <summary>What the silo logs; event ids 5000 to 5199 (RESP2: 5200 to 5299).</summary>
internal static partial class SiloLog
{
    [LoggerMessage(5000, LogLevel.Information,
        "Silo {Name} {Version} is ready: native {Native}, unix {UnixSocket}, resp {Resp}, http {Http}")]
    public static partial void Ready(this ILogger logger, string name, string version, string native, string unixSocket, string resp,
        string http);

    [LoggerMessage(5001, LogLevel.Warning, "Host memory is not shared, local clients get bytes over their socket: {Reason}")]
    public static partial void ArenaFallback(this ILogger logger, string reason);

    [LoggerMessage(5002, LogLevel.Information,
        "Recovered {Records} records in {ElapsedMs} ms; clean {Clean}, corrupt {CorruptRecords}, cut {BytesCut} B, read {BytesScanned} B")]
    public static partial void Recovered(
        this ILogger logger, long records, double elapsedMs, bool clean, long corruptRecords, long bytesCut, long bytesScanned);

    [LoggerMessage(5003, LogLevel.Information, "Draining, at most {DrainSeconds} s")]
    public static partial void Draining(this ILogger logger, double drainSeconds);

    [LoggerMessage(5004, LogLevel.Warning, "Drain is not complete: {Reason}")]
    public static partial void DrainIncomplete(this ILogger logger, string reason);

    [LoggerMessage(5005, LogLevel.Information, "Stopped")]
    public static partial void Stopped(this ILogger logger);

    [LoggerMessage(5060, LogLevel.Error,
        "The SSD hangs: stopping waited {SsdCloseMs} ms for its log or 30 s for a read or write, and left files and memory as they are")]
    public static partial void StoreAbandoned(this ILogger logger, int ssdCloseMs);

    [LoggerMessage(5006, LogLevel.Warning,
        "Listening on {Address} for {Listener} without a token: anyone who reaches the port reads and writes every block")]
    public static partial void OpenToAll(this ILogger logger, string address, string listener);

    [LoggerMessage(5007, LogLevel.Information, "Removed {Count} files of arenas whose silo is gone")]
    public static partial void StaleArenasRemoved(this ILogger logger, int count);

    [LoggerMessage(5008, LogLevel.Error,
        "The SSD failed to read a block; {Count} such reads since start. Their clients got a miss (deadline)")]
    public static partial void SsdReadFailed(this ILogger logger, long count);

    [LoggerMessage(5009, LogLevel.Warning, "{Count} records of namespaces that are not registered were found; they are not served")]
    public static partial void UnknownNamespaces(this ILogger logger, long count);

    [LoggerMessage(5059, LogLevel.Warning,
        "{Count} values that can change were dropped, as the log is damaged after them: newer ones may have stood there")]
    public static partial void DoubtfulValues(this ILogger logger, long count);

    [LoggerMessage(5014, LogLevel.Information, "{Count} sequences are back")]
    public static partial void SequencesRestored(this ILogger logger, int count);

    [LoggerMessage(5015, LogLevel.Warning, "{Count} sequences are lost: records of their manifests are damaged or gone")]
    public static partial void SequencesLost(this ILogger logger, int count);

    [LoggerMessage(5016, LogLevel.Information,
        "Device tier on {Name} ({Driver}, version {Version}): {BudgetBytes} B taken, {CapacityBytes} B of them for blocks and digests")]
    public static partial void DeviceTaken(
        this ILogger logger, string name, string driver, string version, long budgetBytes, long capacityBytes);

    [LoggerMessage(5017, LogLevel.Information, "No device tier, the host computes: {Reason}")]
    public static partial void NoDevice(this ILogger logger, string reason);

    [LoggerMessage(5018, LogLevel.Error, "The device failed and is not used any more, the host computes from now on: {Reason}")]
    public static partial void DeviceFailed(this ILogger logger, string reason);

    [LoggerMessage(5019, LogLevel.Warning,
        "The device refused a request, the host answered it; later ones are only counted (kvtier.device.fallbacks): {Reason}")]
    public static partial void DeviceRefused(this ILogger logger, string reason);

    [LoggerMessage(5020, LogLevel.Information, "Joining cluster {Cluster} that etcd at {Etcd} keeps")]
    public static partial void Joining(this ILogger logger, string cluster, string etcd);

    [LoggerMessage(5021, LogLevel.Information, "Silo {Name} is a member of cluster {Cluster}: epoch {Epoch}, {Silos} silos")]
    public static partial void Joined(this ILogger logger, string name, string cluster, long epoch, int silos);

    [LoggerMessage(5022, LogLevel.Warning, "The silo could not leave its cluster, others wait until its lease has run out: {Reason}")]
    public static partial void LeaveFailed(this ILogger logger, string reason);

    [LoggerMessage(5023, LogLevel.Information, "Map of epoch {Epoch}: {Silos} silos, {Moved} moved groups")]
    public static partial void MapChanged(this ILogger logger, long epoch, int silos, int moved);

    [LoggerMessage(5024, LogLevel.Warning, "The silo is no member any more since epoch {Epoch}")]
    public static partial void NoMember(this ILogger logger, long epoch);

    [LoggerMessage(5025, LogLevel.Debug, "Silo {Silo} did not do what was asked: {Reason}")]
    public static partial void PeerFailed(this ILogger logger, string silo, string reason);

    [LoggerMessage(5026, LogLevel.Information, "Move of group {Group} to {Silo}: {Stage}")]
    public static partial void MovingAway(this ILogger logger, BlockId group, string silo, string stage);

    [LoggerMessage(5027, LogLevel.Information, "Move of group {Group} from {Silo}: {Stage}")]
    public static partial void MovingHere(this ILogger logger, BlockId group, string silo, string stage);

    [LoggerMessage(5028, LogLevel.Warning, "Epoch {Epoch} could not be noted in the data directory: {Reason}")]
    public static partial void EpochNotNoted(this ILogger logger, long epoch, string reason);

    [LoggerMessage(5050, LogLevel.Debug, "Connection {Number} from {Peer}")]
    public static partial void ConnectionOpened(this ILogger logger, int number, string peer);

    [LoggerMessage(5051, LogLevel.Debug, "Connection {Number} ended: {Reason}")]
    public static partial void ConnectionEnded(this ILogger logger, int number, string reason);

    [LoggerMessage(5052, LogLevel.Warning, "Connection {Number} refused: {Count} are open, the most there may be")]
    public static partial void ConnectionRefused(this ILogger logger, int number, int count);

    [LoggerMessage(5053, LogLevel.Warning, "Connection {Number} ended: the client broke the protocol: {Error}")]
    public static partial void ProtocolViolation(this ILogger logger, int number, string error);

    [LoggerMessage(5054, LogLevel.Warning, "Connection {Number} ended: {Side} waited longer than {TimeoutMs} ms for the client")]
    public static partial void ConnectionStalled(this ILogger logger, int number, string side, int timeoutMs);

    [LoggerMessage(5055, LogLevel.Error, "Connection {Number} ended by an unexpected error")]
    public static partial void ConnectionFailed(this ILogger logger, Exception error, int number);

    [LoggerMessage(5056, LogLevel.Warning, "Accepting on {EndPoint} failed, trying again: {Reason}")]
    public static partial void AcceptFailed(this ILogger logger, string endPoint, string reason);

    [LoggerMessage(5057, LogLevel.Information,
        "Connection {Number}: {Count} reservations revoked, quarantined until the client ends the connection")]
    public static partial void ReservationsRevoked(this ILogger logger, int number, int count);

    [LoggerMessage(5058, LogLevel.Warning, "Connection {Number} refused: {Error}")]
    public static partial void HelloRefused(this ILogger logger, int number, string error);
}
