namespace KvTier.Silo;

/// <summary>Engine regions: files of KV rows that inference engines on this machine keep in shared memory.</summary>
public sealed record RegionSettings
{
    /// <summary>True to let clients of the same user on the Unix socket name such files. Default true.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>The one folder that they may lie in. Default <c>/dev/shm</c>.</summary>
    public string Directory { get; init; } = "/dev/shm";

    /// <summary>True to remove files whose engine is gone. Default true.</summary>
    public bool Reap { get; init; } = true;

    /// <summary>How long such a file must have been unchanged before it is removed, in seconds. Default 300.</summary>
    public int ReapAfterSeconds { get; init; } = 300;
}
