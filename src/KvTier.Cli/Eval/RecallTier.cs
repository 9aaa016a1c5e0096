namespace KvTier.Cli;

/// <summary>Where the blocks of an evaluation lie.</summary>
internal enum RecallTier
{
    /// <summary>All in host memory.</summary>
    Host,

    /// <summary>All in the log, with a hot set too small to hold much of them.</summary>
    Ssd,

    /// <summary>Blocks and digests in device memory.</summary>
    Device,
}
