using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>A block that a run reads from, and where it is.</summary>
internal struct BlockSource
{
    /// <summary>Its sequence.</summary>
    internal SequenceGrain Grain;

    /// <summary>Its number in the sequence.</summary>
    internal int Block;

    /// <summary>True when it is leased in host memory.</summary>
    internal bool IsLeased;

    /// <summary>The lease.</summary>
    internal BlockLease Lease;

    /// <summary>Its payload, when leased.</summary>
    internal Memory<byte> Payload;

    /// <summary>The copy in device memory that is used; null when it is read from elsewhere.</summary>
    internal DeviceBlock? OnDevice;

    /// <summary>Why nothing of it can be read; none when something can.</summary>
    internal MissReason Reason;

    /// <summary>True when it has no checks of its parts, so that it must be read whole.</summary>
    internal bool IsWhole;
}

/// <summary>Finds the source of a block in the run that has its sequence's turn.</summary>
internal sealed class SourceMap
{
    private long[] sources = [];
    private uint run;

    /// <summary>A run begins, which knows no block.</summary>
    /// <param name="blocks">Blocks that the sequence has.</param>
    internal void Begin(int blocks)
    {
        if (sources.Length < blocks) sources = new long[Math.Max(blocks, 2 * sources.Length)];
        if (++run == 0) sources.AsSpan().Clear();
        if (run == 0) run = 1;
    }

    /// <summary>Finds the source of a block.</summary>
    /// <returns>-1 when the run has none yet.</returns>
    internal int Find(int block) => (uint)(sources[block] >> 32) == run ? (int)sources[block] : -1;

    /// <summary>Notes the source of a block.</summary>
    internal void Set(int block, int source) => sources[block] = ((long)run << 32) | (uint)source;
}
