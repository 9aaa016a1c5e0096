namespace KvTier.Cli;

/// <summary>What a run of <c>kvtier</c> says by its exit code; documented in docs/reference/cli.md.</summary>
internal static class ExitCodes
{
    /// <summary>All went as asked.</summary>
    public const int Ok = 0;

    /// <summary>The run found what should not be: wrong bytes, or a block that was asked for and is not there.</summary>
    public const int Found = 1;

    /// <summary>An argument, option, file or value is not valid.</summary>
    public const int Usage = 2;

    /// <summary>The silo can't be reached, is busy, is stopping, or did not answer in time.</summary>
    public const int Unavailable = 3;

    /// <summary>The silo or the environment refuses: full, not allowed, another version, another owner.</summary>
    public const int Refused = 4;

    /// <summary>A device failed, bytes failed their check, or something happened that should not.</summary>
    public const int Fault = 5;

    /// <summary>Stopped by SIGINT before the work was done.</summary>
    public const int Interrupted = 130;

    /// <summary>The exit code of an error.</summary>
    public static int Of(ErrorCode code) => code switch
    {
        ErrorCode.None => Ok,
        ErrorCode.InvalidArgument or ErrorCode.LimitExceeded => Usage,
        ErrorCode.Unavailable or ErrorCode.DeadlineExceeded or ErrorCode.ShuttingDown or ErrorCode.Busy => Unavailable,
        ErrorCode.NamespaceMismatch or ErrorCode.NamespaceUnknown or ErrorCode.HostFull or ErrorCode.DiskFull or ErrorCode.LeaseExpired
            or ErrorCode.Unauthorized or ErrorCode.VersionMismatch or ErrorCode.Unsupported or ErrorCode.Moved or ErrorCode.Fenced
            or ErrorCode.Conflict => Refused,
        _ => Fault,
    };
}
