using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Kernels;

/// <summary>Adds stored rows up by weights: the numerator of an attention whose weights are known. Rows that no query weighs are not
/// read.</summary>
public static class WeightedRows
{
    private const int TileRows = 64;

    [ThreadStatic]
    private static Room? current;

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
        int rowBytes = rowLength * dtype.SizeBytes();
        Room room = current ??= new Room();
        room.Shape(TileRows * rowLength * sizeof(float), queryCount * TileRows, queryCount * rowLength);
        int next = 0;
        while (next < rowCount)
        {
            int count = 0;
            for (; next < rowCount && count < TileRows; next++)
            {
                if (!IsWeighed(weights, weightStride, queryCount, next)) continue;
                ReadOnlySpan<byte> row = rows.Slice(next * rowBytes, rowBytes);
                if (squares) PutSquares(dtype, row, room.Rows.Slice(count * rowLength * sizeof(float), rowLength * sizeof(float)));
                else row.CopyTo(room.Rows[(count * rowBytes)..]);
                float scale = rowScales.IsEmpty ? 1 : rowScales[next];
                float factor = squares ? scale * scale : scale;
                for (int g = 0; g < queryCount; g++) room.Weights[(g * TileRows) + count] = factor * weights[(g * weightStride) + next];
                count++;
            }

            if (count == 0) return;
            var shape = new ValueShape(count, rowLength, queryCount, TileRows);
            ValueSum.Accumulate(squares ? Dtype.Float32 : dtype, room.Rows, room.Weights, room.Sums, shape);
            AddTo(sums, room.Sums);
        }
    }

    private static bool IsWeighed(ReadOnlySpan<float> weights, int weightStride, int queryCount, int row)
    {
        for (int g = 0; g < queryCount; g++)
            if (weights[(g * weightStride) + row] != 0) return true;
        return false;
    }

    private static void PutSquares(Dtype dtype, ReadOnlySpan<byte> row, Span<byte> squares)
    {
        Span<float> numbers = MemoryMarshal.Cast<byte, float>(squares);
        RowConvert.ToSingle(dtype, row, numbers);
        ref float start = ref MemoryMarshal.GetReference(numbers);
        int j = 0;
        for (; j <= numbers.Length - Vector256<float>.Count; j += Vector256<float>.Count)
        {
            Vector256<float> values = Vector256.LoadUnsafe(ref start, (nuint)j);
            (values * values).StoreUnsafe(ref start, (nuint)j);
        }

        for (; j < numbers.Length; j++) numbers[j] *= numbers[j];
    }

    private static void AddTo(Span<float> sums, ReadOnlySpan<float> addends)
    {
        ref float sum = ref MemoryMarshal.GetReference(sums);
        ref float addend = ref MemoryMarshal.GetReference(addends);
        int j = 0;
        for (; j <= addends.Length - Vector256<float>.Count; j += Vector256<float>.Count)
        {
            Vector256<float> both = Vector256.LoadUnsafe(ref sum, (nuint)j) + Vector256.LoadUnsafe(ref addend, (nuint)j);
            both.StoreUnsafe(ref sum, (nuint)j);
        }

        for (; j < addends.Length; j++) sums[j] += addends[j];
    }

    /// <summary>Room of a thread, used again and again.</summary>
    private sealed class Room
    {
        private byte[] rows = [];
        private float[] weights = [];
        private float[] sums = [];
        private int sumCount;

        internal Span<byte> Rows => rows;

        internal Span<float> Weights => weights;

        internal Span<float> Sums => sums.AsSpan(0, sumCount);

        internal void Shape(int rowBytes, int weightCount, int sumsNeeded)
        {
            if (rows.Length < rowBytes) rows = new byte[rowBytes];
            if (weights.Length < weightCount) weights = new float[weightCount];
            if (sums.Length < sumsNeeded) sums = new float[sumsNeeded];
            sumCount = sumsNeeded;
        }
    }
}
