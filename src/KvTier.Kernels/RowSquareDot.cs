using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Kernels;

/// <summary>Scores rows by the squares of their elements, as the variance of a chunk's scores is worked out from its deviations.</summary>
public static class RowSquareDot
{
    // A tile of rows stays in the first-level cache between being squared and being read by every query.
    private const int TileRows = 16;

    [ThreadStatic]
    private static float[]? tile;

    /// <summary><c>scores[g, r] = Σ_j weights[g, j] · (rowScales[r] · rows[r, j])²</c>.</summary>
    /// <param name="dtype">Element type of the rows.</param>
    /// <param name="rows">The rows, <c>[rowCount, rowLength]</c>, one after the other.</param>
    /// <param name="rowCount">Rows.</param>
    /// <param name="rowLength">Elements of a row.</param>
    /// <param name="weights">fp32 <c>[queryCount, rowLength]</c>: squares of queries.</param>
    /// <param name="queryCount">Queries.</param>
    /// <param name="rowScales">A factor for each row (int8 forms); empty for 1.</param>
    /// <param name="scores">Receives <c>[queryCount, scoreStride]</c>, of which the first rowCount of each line are written.</param>
    /// <param name="scoreStride">Floats from one query's scores to the next one's, at least rowCount.</param>
    public static void Dot(
        Dtype dtype,
        ReadOnlySpan<byte> rows,
        int rowCount,
        int rowLength,
        ReadOnlySpan<float> weights,
        int queryCount,
        ReadOnlySpan<float> rowScales,
        Span<float> scores,
        int scoreStride)
    {
        if (tile is null || tile.Length < TileRows * rowLength) tile = new float[TileRows * rowLength];
        int rowBytes = rowLength * dtype.SizeBytes();
        Span<float> factors = stackalloc float[TileRows];
        for (int first = 0; first < rowCount; first += TileRows)
        {
            int count = Math.Min(TileRows, rowCount - first);
            Span<float> squares = tile.AsSpan(0, count * rowLength);
            RowConvert.ToSingle(dtype, rows.Slice(first * rowBytes, count * rowBytes), squares);
            Square(squares);
            scoped ReadOnlySpan<float> tileFactors = [];
            if (!rowScales.IsEmpty)
            {
                for (int r = 0; r < count; r++) factors[r] = rowScales[first + r] * rowScales[first + r];
                tileFactors = factors[..count];
            }

            RowDot.Dot(
                Dtype.Float32,
                MemoryMarshal.AsBytes(squares),
                count,
                rowLength,
                weights,
                queryCount,
                tileFactors,
                scores[first..],
                scoreStride);
        }
    }

    private static void Square(Span<float> numbers)
    {
        ref float start = ref MemoryMarshal.GetReference(numbers);
        int i = 0;
        for (; i <= numbers.Length - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            Vector256<float> values = Vector256.LoadUnsafe(ref start, (nuint)i);
            (values * values).StoreUnsafe(ref start, (nuint)i);
        }

        for (; i < numbers.Length; i++) numbers[i] *= numbers[i];
    }
}
