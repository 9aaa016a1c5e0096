using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Kernels;

/// <summary>Adds stored rows up by weights: the numerator of an attention whose weights are known.</summary>
public static class WeightedRows
{
    private const int TileRows = 16;

    [ThreadStatic]
    private static float[]? tile;

    /// <summary><c>sums[g, j] += Σ_r weights[g, r] · rowScales[r] · rows[r, j]</c>.</summary>
    /// <param name="dtype">Element type of the rows.</param>
    /// <param name="rows">The rows, <c>[rowCount, rowLength]</c>, one after the other; finite where a weight is not 0.</param>
    /// <param name="rowCount">Rows.</param>
    /// <param name="rowLength">Elements of a row.</param>
    /// <param name="weights">fp32 <c>[queryCount, weightStride]</c>, the first rowCount of each line.</param>
    /// <param name="weightStride">Floats from one query's weights to the next one's.</param>
    /// <param name="queryCount">Queries.</param>
    /// <param name="rowScales">A factor for each row (int8 forms); empty for 1.</param>
    /// <param name="sums">fp32 <c>[queryCount, rowLength]</c>, added to.</param>
    public static void Add(
        Dtype dtype,
        ReadOnlySpan<byte> rows,
        int rowCount,
        int rowLength,
        ReadOnlySpan<float> weights,
        int weightStride,
        int queryCount,
        ReadOnlySpan<float> rowScales,
        Span<float> sums)
    {
        if (tile is null || tile.Length < TileRows * rowLength) tile = new float[TileRows * rowLength];
        int rowBytes = rowLength * dtype.SizeBytes();
        Span<float> factors = stackalloc float[TileRows];
        for (int first = 0; first < rowCount; first += TileRows)
        {
            int count = Math.Min(TileRows, rowCount - first);
            Span<float> numbers = tile.AsSpan(0, count * rowLength);
            RowConvert.ToSingle(dtype, rows.Slice(first * rowBytes, count * rowBytes), numbers);
            for (int g = 0; g < queryCount; g++)
            {
                weights.Slice((g * weightStride) + first, count).CopyTo(factors);
                if (!rowScales.IsEmpty)
                    for (int r = 0; r < count; r++) factors[r] *= rowScales[first + r];
                AddTile(numbers, rowLength, factors[..count], sums.Slice(g * rowLength, rowLength));
            }
        }
    }

    private static void AddTile(ReadOnlySpan<float> rows, int rowLength, ReadOnlySpan<float> weights, Span<float> sum)
    {
        ref float start = ref MemoryMarshal.GetReference(rows);
        ref float total = ref MemoryMarshal.GetReference(sum);
        int j = 0;
        for (; j <= rowLength - Vector256<float>.Count; j += Vector256<float>.Count)
        {
            Vector256<float> acc = Vector256.LoadUnsafe(ref total, (nuint)j);
            for (int r = 0; r < weights.Length; r++)
            {
                Vector256<float> row = Vector256.LoadUnsafe(ref start, (nuint)((r * rowLength) + j));
                acc = Vector256.FusedMultiplyAdd(row, Vector256.Create(weights[r]), acc);
            }

            acc.StoreUnsafe(ref total, (nuint)j);
        }

        for (; j < rowLength; j++)
            for (int r = 0; r < weights.Length; r++) sum[j] += weights[r] * rows[(r * rowLength) + j];
    }
}
