namespace KvTier.Kernels;

/// <summary>Rows as int8 with one scale each, symmetric: x ≈ scale · code, scale = largest |x| / 127.</summary>
public static class RowQuantizer
{
    /// <summary>Quantises rows, rounding to nearest even. The error of an element is at most half the row's scale.</summary>
    /// <param name="rows">fp32 <c>[n, rowLength]</c>, finite.</param>
    /// <param name="rowLength">Elements of a row.</param>
    /// <param name="codes">Receives int8 <c>[n, rowLength]</c>, from -127 to 127.</param>
    /// <param name="scales">Receives <c>[n]</c>; 0 for a row of zeros, and of numbers below 1e-36, which count as such.</param>
    /// <exception cref="ArgumentException">A span does not fit.</exception>
    public static void ToInt8(ReadOnlySpan<float> rows, int rowLength, Span<byte> codes, Span<float> scales)
    {
        if (rowLength < 1 || rows.Length % rowLength != 0)
            throw new ArgumentException($"{rows.Length} elements are not rows of {rowLength}", nameof(rows));
        int count = rows.Length / rowLength;
        Shapes.Require(codes.Length, rows.Length, nameof(codes));
        Shapes.Require(scales.Length, count, nameof(scales));
        for (int r = 0; r < count; r++)
        {
            ReadOnlySpan<float> row = rows.Slice(r * rowLength, rowLength);
            float largest = LargestMagnitude(row);
            bool zero = largest < 1e-36f;
            scales[r] = zero ? 0 : largest / 127;
            FromSingleKernel.RunScaled<Int8Narrowing>(row, zero ? 0 : 127 / largest, codes.Slice(r * rowLength, rowLength));
        }
    }

    private static float LargestMagnitude(ReadOnlySpan<float> row)
    {
        Vector128<float> largest = Vector128<float>.Zero;
        int i = 0;
        for (; i <= row.Length - Vector128<float>.Count; i += Vector128<float>.Count)
            largest = Vector128.MaxNative(largest, Vector128.Abs(Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(row), (nuint)i)));
        float result = MathF.Max(MathF.Max(largest[0], largest[1]), MathF.Max(largest[2], largest[3]));
        for (; i < row.Length; i++) result = MathF.Max(result, MathF.Abs(row[i]));
        return result;
    }
}
