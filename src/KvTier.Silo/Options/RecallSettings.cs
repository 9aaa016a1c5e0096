using KvTier.Recall;

namespace KvTier.Silo;

/// <summary>Sequences and recall.</summary>
public sealed record RecallSettings
{
    /// <summary>Bytes of chunks that are kept beside the host tier because recall picks them; 0 for none. Default 256 MiB.</summary>
    public long HotSetBytes { get; init; } = 256L << 20;

    /// <summary>Most bytes of the digests of all sequences. Default 8 GiB.</summary>
    public long DigestBytes { get; init; } = 8L << 30;

    /// <summary>Threads that score and attend; 0 for as many as there are processors. Default 0.</summary>
    public int Workers { get; init; }

    /// <summary>Most sequences. Default 65,536.</summary>
    public int SequencesMax { get; init; } = 65_536;

    /// <summary>Most blocks of a sequence. Default 1,048,576.</summary>
    public int BlocksMax { get; init; } = 1 << 20;

    /// <summary>Most items of one recall. Default 1,024.</summary>
    public int ItemsMax { get; init; } = 1024;

    /// <summary>Bytes of device memory for blocks of hot sequences; 0 for no device. Default 0.</summary>
    public long DeviceBytes { get; init; }

    /// <summary>Which device: auto, opencl, cuda or none. Default auto.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>True to take an OpenCL CPU device where there is no GPU; the host's own kernels are faster. Default false.</summary>
    public bool DeviceAllowCpu { get; init; }

    /// <summary>What the service is told.</summary>
    /// <param name="limits">Whose frames the answers must fit into.</param>
    internal RecallOptions ToRecallOptions(Limits limits) => new()
    {
        HotSetBytes = HotSetBytes,
        DigestBytesMax = DigestBytes,
        DeviceBytes = DeviceBytes,
        Workers = Workers == 0 ? Math.Min(Environment.ProcessorCount, 1024) : Workers,
        SequencesMax = SequencesMax,
        BlocksMax = BlocksMax,
        ItemsMax = ItemsMax,
        PayloadBytesMax = limits.FramePayloadBytesMax,
    };
}
