namespace KvTier.Kernels;

/// <summary>The sizes of one scoring.</summary>
/// <param name="RowCount">Rows.</param>
/// <param name="RowLength">Elements of a row and of a query.</param>
/// <param name="QueryCount">Queries.</param>
/// <param name="ScoreStride">Floats from one query's scores to the next one's.</param>
/// <param name="Finite">True when no element of the rows is an infinity or a NaN.</param>
internal readonly record struct DotShape(int RowCount, int RowLength, int QueryCount, int ScoreStride, bool Finite = false);
