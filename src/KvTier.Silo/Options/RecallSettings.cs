using KvTier.Recall;

namespace KvTier.Silo;

/// <summary>Sequences and recall.</summary>
public sealed record RecallSettings
{
    /// <summary>Bytes of chunks that are kept beside the host tier because recall picks them; 0 for none. Default 256 MiB.</summary>
    public long HotSetBytes { get; init; } = 256L << 20;

    /// <summary>Most bytes of the digests of all sequences. Default 8 GiB.</summary>
    public long DigestBytes { get; init; } = 8L << 30;

    /// <summary>Most memory of rows that recalls read from the SSD, all together; 0 for half of the host memory, at least 256 MiB.
    /// Default 0.</summary>
    public long ReadBytes { get; init; }

    /// <summary>Threads that score and attend; 0 for as many as there are processors. Default 0.</summary>
    public int Workers { get; init; }

    /// <summary>Most sequences. Default 65,536.</summary>
    public int SequencesMax { get; init; } = 65_536;

    /// <summary>Most blocks of a sequence. Default 1,048,576.</summary>
    public int BlocksMax { get; init; } = 1 << 20;

    /// <summary>Most items of one recall. Default 1,024.</summary>
    public int ItemsMax { get; init; } = 1024;

    /// <summary>What the service is told.</summary>
    /// <param name="limits">Whose frames the answers must fit into.</param>
    /// <param name="hostBytes">Host memory for blocks.</param>
    /// <param name="deviceBytes">Device memory for blocks and digests; 0 for no device.</param>
    /// <param name="inCluster">True when blocks of a sequence may lie on several silos.</param>
    internal RecallOptions ToRecallOptions(Limits limits, long hostBytes, long deviceBytes, bool inCluster) => new()
    {
        RunsEndAtGroups = inCluster,
        DeviceBytes = deviceBytes,
        HotSetBytes = HotSetBytes,
        DigestBytesMax = DigestBytes,
        ReadBytesMax = ReadBytes > 0 ? ReadBytes : Math.Max(hostBytes / 2, 256L << 20),
        Workers = Workers == 0 ? Math.Min(Environment.ProcessorCount, 1024) : Workers,
        SequencesMax = SequencesMax,
        BlocksMax = BlocksMax,
        ItemsMax = ItemsMax,
        PayloadBytesMax = limits.FramePayloadBytesMax,
    };
}
