using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Kernels;

/// <summary>Adds stored rows up by weights: the numerator of an attention whose weights are known. Rows that no query weighs are not
/// read.</summary>
public static class WeightedRows
{
    private const int TileRows = 16;

    [ThreadStatic]
    private static float[]? tile;

    /// <summary><c>sums[g, j] += Σ_r weights[g, r] · rowScales[r] · rows[r, j]</c>, or with squares
    /// <c>Σ_r weights[g, r] · (rowScales[r] · rows[r, j])²</c>.</summary>
    /// <param name="dtype">Element type of the rows.</param>
    /// <param name="rows">The rows, <c>[rowCount, rowLength]</c>, one after the other; finite where a weight is not 0.</param>
    /// <param name="rowCount">Rows.</param>
    /// <param name="rowLength">Elements of a row.</param>
    /// <param name="weights">fp32 <c>[queryCount, weightStride]</c>, the first rowCount of each line.</param>
    /// <param name="weightStride">Floats from one query's weights to the next one's.</param>
    /// <param name="queryCount">Queries.</param>
    /// <param name="rowScales">A factor for each row (int8 forms); empty for 1.</param>
    /// <param name="squares">True to add squares of elements.</param>
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
        bool squares,
        Span<float> sums)
    {
        if (tile is null || tile.Length < TileRows * rowLength) tile = new float[TileRows * rowLength];
        int rowBytes = rowLength * dtype.SizeBytes();
        Span<int> taken = stackalloc int[TileRows];
        Span<float> factors = stackalloc float[TileRows];
        int next = 0;
        while (next < rowCount)
        {
            int count = 0;
            for (; next < rowCount && count < TileRows; next++)
            {
                if (!IsWeighed(weights, weightStride, queryCount, next)) continue;
                Span<float> numbers = tile.AsSpan(count * rowLength, rowLength);
                RowConvert.ToSingle(dtype, rows.Slice(next * rowBytes, rowBytes), numbers);
                if (squares) Square(numbers);
                taken[count++] = next;
            }

            for (int g = 0; g < queryCount; g++)
            {
                for (int r = 0; r < count; r++)
                {
                    float scale = rowScales.IsEmpty ? 1 : rowScales[taken[r]];
                    factors[r] = weights[(g * weightStride) + taken[r]] * (squares ? scale * scale : scale);
                }

                AddTile(tile, rowLength, factors[..count], sums.Slice(g * rowLength, rowLength));
            }
        }
    }

    private static bool IsWeighed(ReadOnlySpan<float> weights, int weightStride, int queryCount, int row)
    {
        for (int g = 0; g < queryCount; g++)
            if (weights[(g * weightStride) + row] != 0) return true;
        return false;
    }

    private static void Square(Span<float> numbers)
    {
        for (int i = 0; i < numbers.Length; i++) numbers[i] *= numbers[i];
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
