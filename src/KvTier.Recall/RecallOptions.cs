namespace KvTier.Recall;

/// <summary>How the sequences and the recall of a silo are set up.</summary>
public sealed record RecallOptions
{
    /// <summary>Bytes of chunks that sequences hold beside the host tier because recall picks them. Default 256 MiB; 0 for none.</summary>
    public long HotSetBytes { get; init; } = 256L << 20;

    /// <summary>Bytes of digests of all sequences. Default 8 GiB.</summary>
    public long DigestBytesMax { get; init; } = 8L << 30;

    /// <summary>
    /// Bytes that recalls under way hold together for rows that they read from the SSD past the hot set; one that finds too few waits until
    /// its deadline. Default 2 GiB, which is also the most that one recall holds.
    /// </summary>
    public long ReadBytesMax { get; init; } = 2L << 30;

    /// <summary>Bytes of device memory for digests and blocks of hot sequences; 0 for no device tier. Default 0.</summary>
    public long DeviceBytes { get; init; }

    /// <summary>Threads that score and attend, the caller's included. Default: the processors.</summary>
    public int Workers { get; init; } = Environment.ProcessorCount;

    /// <summary>Most sequences. Default 65,536.</summary>
    public int SequencesMax { get; init; } = 65_536;

    /// <summary>Most blocks of a sequence. Default 1,048,576.</summary>
    public int BlocksMax { get; init; } = 1 << 20;

    /// <summary>Most items of one recall. Default 1,024.</summary>
    public int ItemsMax { get; init; } = 1024;

    /// <summary>Most bytes of one recall's payload. Default 1 GiB.</summary>
    public long PayloadBytesMax { get; init; } = 1L << 30;

    /// <summary>Most messages that wait for one sequence. Default 256.</summary>
    public int MailboxMax { get; init; } = 256;

    /// <summary>True in a cluster: a run of clusters of keys (centroids, vq) ends where a group of placement ends, so that it lies on one
    /// silo. Default false.</summary>
    public bool RunsEndAtGroups { get; init; }

    /// <summary>Checks every option.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (HotSetBytes < 0) return KvError.InvalidArgument("recall.hotSetBytes", HotSetBytes, "0 or more");
        if (DigestBytesMax < 0) return KvError.InvalidArgument("recall.digestBytesMax", DigestBytesMax, "0 or more");
        if (ReadBytesMax < 1) return KvError.InvalidArgument("recall.readBytes", ReadBytesMax, "1 or more");
        if (DeviceBytes < 0) return KvError.InvalidArgument("recall.deviceBytes", DeviceBytes, "0 or more");
        if (Workers is < 1 or > 1024) return KvError.InvalidArgument("recall.workers", Workers, "1 to 1024");
        if (SequencesMax < 1) return KvError.InvalidArgument("recall.sequencesMax", SequencesMax, "1 or more");
        if (BlocksMax is < 1 or > 1 << 24) return KvError.InvalidArgument("recall.blocksMax", BlocksMax, "1 to 16777216");
        if (ItemsMax is < 1 or > 65_536) return KvError.InvalidArgument("recall.itemsMax", ItemsMax, "1 to 65536");
        if (PayloadBytesMax < 1) return KvError.InvalidArgument("recall.payloadBytesMax", PayloadBytesMax, "1 or more");
        return MailboxMax < 1 ? KvError.InvalidArgument("recall.mailboxMax", MailboxMax, "1 or more") : null;
    }
}
