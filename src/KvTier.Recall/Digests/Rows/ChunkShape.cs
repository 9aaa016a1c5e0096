namespace KvTier.Recall;

/// <summary>Which rows stand for a chunk under a digest spec, and how long they are.</summary>
internal sealed class ChunkShape
{
    /// <summary>Count of <see cref="RowPart"/>s, with four directions and four peaks.</summary>
    internal const int Parts = (int)RowPart.PeakValue + PeaksMax;

    private const int RankMax = 4;
    private const int PeaksMax = 4;

    /// <summary>Tokens of a segment, if a block is not longer: enough that its rows stream, few enough that a fork copies little.</summary>
    private const int SegmentTokensGoal = 1024;
    private readonly int[] rowLengths = new int[Parts];

    /// <summary>Makes the shape of a chunked digest.</summary>
    internal ChunkShape(DigestSpec spec, BlockLayout layout)
    {
        Spec = spec;
        HeadDim = layout.HeadDim;
        ChunksPerBlock = layout.BlockTokens / spec.ChunkTokens;
        BlocksPerSegment = Math.Max(1, SegmentTokensGoal / layout.BlockTokens);
        Dtype = spec.Form switch
        {
            DigestForm.Float32 => Dtype.Float32,
            DigestForm.Float16 => Dtype.Float16,
            _ => Dtype.Int8,
        };
        bool moments = spec.Kind == DigestKind.Moments;
        int dim = layout.HeadDim;
        SetLength(RowPart.Main, spec.Kind is DigestKind.MinMax or DigestKind.Cuboid ? 2 * dim : dim);
        SetLength(RowPart.Sigma, moments ? dim : 0);
        SetLength(RowPart.Value, moments || spec.Kind == DigestKind.Centroids ? dim : 0);
        for (int r = 0; r < RankMax; r++) SetLength(RowPart.Direction + r, r < spec.Rank ? dim : 0);
        for (int p = 0; p < PeaksMax; p++)
        {
            SetLength(RowPart.PeakKey + p, p < spec.Peaks ? dim : 0);
            SetLength(RowPart.PeakValue + p, p < spec.Peaks ? dim : 0);
        }

        SetLength(RowPart.Bounds, spec.Bounds ? 2 * dim : 0);
        SetLength(RowPart.Nodes, spec.Fanout > 0 ? 2 * dim : 0);
    }

    /// <summary>What the digest is.</summary>
    internal DigestSpec Spec { get; }

    /// <summary>Elements of a key (D).</summary>
    internal int HeadDim { get; }

    /// <summary>Element type of the rows.</summary>
    internal Dtype Dtype { get; }

    /// <summary>Chunks of a full block.</summary>
    internal int ChunksPerBlock { get; }

    /// <summary>Blocks of a full segment.</summary>
    internal int BlocksPerSegment { get; }

    /// <summary>Chunks of a full segment.</summary>
    internal int ChunksPerSegment => ChunksPerBlock * BlocksPerSegment;

    /// <summary>True when a chunk has a reach, by which its score is held below its bound; moments without rows of bounds.</summary>
    internal bool HasReach => Spec.Kind == DigestKind.Moments && !Spec.Bounds;

    /// <summary>True when every row has a scale.</summary>
    internal bool HasScales => Dtype == Dtype.Int8;

    /// <summary>The rows that bound a chunk's score from above, channel by channel; what a node bounds.</summary>
    internal RowPart HullPart => Spec.Bounds ? RowPart.Bounds : RowPart.Main;

    /// <summary>Elements of a row; 0 when the digest has no such rows.</summary>
    internal int RowLength(RowPart part) => rowLengths[(int)part];

    /// <summary>Bytes that are read to score one row, its scale included.</summary>
    internal int RowBytes(RowPart part) =>
        rowLengths[(int)part] == 0 ? 0 : (rowLengths[(int)part] * Dtype.SizeBytes()) + (HasScales ? sizeof(float) : 0);

    /// <summary>Rows of a part in a segment with room for some chunks.</summary>
    internal int Rows(RowPart part, int chunks) => part switch
    {
        RowPart.Main => chunks * Spec.SubChunks,
        RowPart.Nodes => Spec.Fanout == 0 ? 0 : (chunks + Spec.Fanout - 1) / Spec.Fanout,
        _ => chunks,
    };

    /// <summary>Peaks of a chunk: fewer than the spec says where not at least two tokens would stay.</summary>
    internal int PeaksOf(int tokens) => Math.Clamp(tokens - 2, 0, Spec.Peaks);

    private void SetLength(RowPart part, int length) => rowLengths[(int)part] = length;
}
