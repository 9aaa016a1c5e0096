using System.Globalization;

namespace KvTier.Cluster;

/// <summary>What may be done after a call failed.</summary>
internal enum EtcdNext
{
    /// <summary>Nothing: another endpoint would say the same.</summary>
    Stop,

    /// <summary>The call was not carried out; another endpoint may do it.</summary>
    OtherEndpoint,

    /// <summary>Whether it was carried out is unknown; another endpoint may do what can be done twice.</summary>
    OtherIfRepeatable,

    /// <summary>The token is too old; the call was not carried out.</summary>
    NewToken,
}

/// <summary>A failed call: what is told, and what may be done.</summary>
internal readonly record struct EtcdTrouble(KvError Error, EtcdNext Next);

/// <summary>Tells etcd's failures apart.</summary>
internal static class EtcdErrors
{
    private const string LogIn =
        "user and password of one who may read and write the cluster's keys (cluster.etcdUser, cluster.etcdPassword)";

    /// <summary>The revision that was asked for is gone; it never leaves the engine.</summary>
    public static readonly KvError Compacted = new(ErrorCode.Conflict, "etcd.revision", "compacted");

    /// <summary>The endpoint can't be reached.</summary>
    public static KvError Unreachable(Uri endpoint, Exception cause) => new(
        ErrorCode.Unavailable, "etcd", $"{Shown(endpoint)}: {cause.GetBaseException().Message}",
        "an etcd that answers (cluster.etcd)");

    /// <summary>It did not answer in time.</summary>
    public static KvError Late(Uri endpoint, string path, TimeSpan deadline) => new(
        ErrorCode.DeadlineExceeded, "etcd", $"{Shown(endpoint)}{path}",
        string.Create(CultureInfo.InvariantCulture, $"an answer in {Math.Max(0, deadline.TotalMilliseconds):0} ms"));

    /// <summary>Reads what etcd says of a failure.</summary>
    public static EtcdTrouble Of(Uri endpoint, int status, ReadOnlySpan<byte> body)
    {
        if (!EtcdJson.ReadMessage<EtcdFailure>(body, "etcd").TryGet(out EtcdFailure? failure, out _)) failure = new EtcdFailure();
        return status == 404 && failure.Message.Length == 0
            ? new EtcdTrouble(TooOld(endpoint, "no v3 gateway"), EtcdNext.Stop) : Of(endpoint, failure, status);
    }

    /// <summary>The same for the failure in a stream.</summary>
    public static EtcdTrouble Of(Uri endpoint, EtcdFailure failure, int status = 0)
    {
        string said = failure.Message.Length > 0 ? failure.Message : $"HTTP {status}";
        KvError Error(ErrorCode code, string limit) => new(code, "etcd", $"{Shown(endpoint)}: {said}", limit);
        bool Says(string text) => said.Contains(text, StringComparison.OrdinalIgnoreCase);
        if (Says("invalid auth token") || Says("revision of auth store is old") || Says("user name is empty"))
            return new EtcdTrouble(Error(ErrorCode.Unauthorized, LogIn), EtcdNext.NewToken);
        if (Says("permission denied") || Says("authentication failed") || Says("user name not found"))
            return new EtcdTrouble(Error(ErrorCode.Unauthorized, LogIn), EtcdNext.Stop);
        if (Says("lease not found")) return new EtcdTrouble(Error(ErrorCode.LeaseExpired, "a new lease"), EtcdNext.Stop);
        if (Says("has been compacted")) return new EtcdTrouble(Compacted, EtcdNext.Stop);
        if (Says("request is too large"))
            return new EtcdTrouble(Error(ErrorCode.LimitExceeded, "etcd's --max-request-bytes; raise it"), EtcdNext.Stop);
        if (Says("database space exceeded"))
        {
            return new EtcdTrouble(
                Error(ErrorCode.Unavailable, "room in etcd: etcdctl compact, defrag, alarm disarm; or --quota-backend-bytes"),
                EtcdNext.Stop);
        }

        return (failure.Code == 0 ? failure.GrpcCode : failure.Code) switch
        {
            // Unavailable, and unknown with a proxy in between: no leader, a stopping member, an election.
            14 or 2 or 0 => new EtcdTrouble(Error(ErrorCode.Unavailable, "an etcd with a leader"), EtcdNext.OtherIfRepeatable),
            16 => new EtcdTrouble(Error(ErrorCode.Unauthorized, LogIn), EtcdNext.NewToken),
            4 => new EtcdTrouble(Error(ErrorCode.DeadlineExceeded, "an answer in time"), EtcdNext.OtherIfRepeatable),
            _ => new EtcdTrouble(Error(ErrorCode.Internal, "a request that etcd understands"), EtcdNext.Stop),
        };
    }

    /// <summary>The endpoint is of another version than we can speak to.</summary>
    public static KvError TooOld(Uri endpoint, string version) =>
        new(ErrorCode.VersionMismatch, "etcd", $"{Shown(endpoint)}: {version}", "etcd 3.4 or newer with its JSON gateway");

    /// <summary>The wall clock of the endpoint's machine shows another time than that of this one.</summary>
    public static KvError ClockDiffers(Uri endpoint, DateTimeOffset here, DateTimeOffset there) => new(
        ErrorCode.InvalidArgument, "clock", $"{Time(here)} on this machine",
        $"within {EtcdServer.SkewMax.TotalSeconds:0} s of {Time(there)}, the time of etcd at {Shown(endpoint)}; "
        + "have NTP set the clocks of both machines");

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static string Shown(Uri endpoint) => endpoint.GetLeftPart(UriPartial.Authority);
}
