namespace KvTier.Kernels;

/// <summary>The sizes of one weighted sum of rows.</summary>
/// <param name="RowCount">Rows.</param>
/// <param name="RowLength">Elements of a row.</param>
/// <param name="QueryCount">Queries.</param>
/// <param name="WeightStride">Floats from one query's weights to the next one's.</param>
internal readonly record struct ValueShape(int RowCount, int RowLength, int QueryCount, int WeightStride);
