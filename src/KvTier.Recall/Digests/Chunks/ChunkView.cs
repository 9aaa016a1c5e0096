namespace KvTier.Recall;

/// <summary>The chunks of an index as a choice reads them.</summary>
/// <param name="Shape">Which rows a chunk has.</param>
/// <param name="Store">The rows.</param>
/// <param name="Maps">How values follow keys; null when that is not learnt.</param>
/// <param name="Tokens">Tokens covered.</param>
internal readonly record struct ChunkView(ChunkShape Shape, SegmentStore Store, ValueMaps? Maps, long Tokens)
{
    /// <summary>Tokens of a chunk.</summary>
    internal int ChunkTokens => Shape.Spec.ChunkTokens;

    /// <summary>Chunks; the last one may be partly filled.</summary>
    internal int Chunks => (int)((Tokens + ChunkTokens - 1) / ChunkTokens);

    /// <summary>Tokens of the last chunk.</summary>
    internal int LastTokens => (int)(Tokens - ((long)(Chunks - 1) * ChunkTokens));

    /// <summary>Tokens of a chunk.</summary>
    internal int TokensOf(int chunk) => chunk == Chunks - 1 ? LastTokens : ChunkTokens;

    /// <summary>Chunks of a segment.</summary>
    internal int ChunksOf(int segment) => Math.Min(Shape.ChunksPerSegment, Chunks - (segment * Shape.ChunksPerSegment));
}
