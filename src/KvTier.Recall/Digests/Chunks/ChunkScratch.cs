namespace KvTier.Recall;

/// <summary>Room in which one chunk's rows are worked out; made once for an index's writer.</summary>
internal sealed class ChunkScratch(int chunkTokens, int headDim)
{
    private readonly float[] keys = new float[chunkTokens * headDim];
    private readonly float[] values = new float[chunkTokens * headDim];
    private readonly float[] row = new float[2 * headDim];
    private readonly float[] mean = new float[headDim];

    /// <summary>The chunk's keys <c>[n, D]</c>.</summary>
    internal Span<float> Keys => keys;

    /// <summary>The chunk's values <c>[n, D]</c>.</summary>
    internal Span<float> Values => values;

    /// <summary>A row that is about to be stored, up to 2D.</summary>
    internal Span<float> Row => row;

    /// <summary>The mean of the keys.</summary>
    internal Span<float> Mean => mean;

    /// <summary>The main direction's weight of each token.</summary>
    internal float[] Weights { get; } = new float[chunkTokens];

    /// <summary>Room for the next weights.</summary>
    internal float[] NextWeights { get; } = new float[chunkTokens];

    /// <summary>Dot products of the keys with each other <c>[n, n]</c>.</summary>
    internal float[] Gram { get; } = new float[chunkTokens * chunkTokens];
}
