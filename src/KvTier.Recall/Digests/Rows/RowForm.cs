using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Rows of fp32 to the form in which they are stored and back. int8 is symmetric with one scale a row: max|x| / 127.</summary>
internal static class RowForm
{
    private const float CodeMax = 127;

    /// <summary>Smallest scale, so that dividing by it overflows nothing: the smallest normal number.</summary>
    private const float ScaleMin = 1.17549435e-38f;

    /// <summary>Stores a row, rounded to the nearest.</summary>
    /// <param name="dtype">fp32, fp16 or int8.</param>
    /// <param name="row">The row; its numbers are finite.</param>
    /// <param name="stored">Receives it.</param>
    /// <returns>Its scale; 1 for the float forms.</returns>
    internal static float Nearest(Dtype dtype, ReadOnlySpan<float> row, Span<byte> stored)
    {
        if (dtype != Dtype.Int8)
        {
            RowConvert.FromSingle(dtype, row, stored);
            return 1;
        }

        float scale = Math.Max(RowMath.MaxAbs(row) / CodeMax, ScaleMin);
        float inverse = 1 / scale;
        for (int j = 0; j < row.Length; j++) stored[j] = (byte)(sbyte)Math.Clamp(MathF.Round(row[j] * inverse), -CodeMax, CodeMax);
        return scale;
    }

    /// <summary>Stores a row of bounds <c>[max | min]</c>: largest values are rounded up and smallest ones down, so that what is stored
    /// still bounds.</summary>
    /// <returns>Its scale; 1 for the float forms.</returns>
    internal static float Outward(Dtype dtype, ReadOnlySpan<float> row, Span<byte> stored)
    {
        switch (dtype)
        {
            case Dtype.Float32:
                RowConvert.FromSingle(dtype, row, stored);
                return 1;
            case Dtype.Float16:
                OutwardHalf(row, stored);
                return 1;
            default:
                return OutwardInt8(row, stored);
        }
    }

    /// <summary>Reads a stored row back.</summary>
    internal static void Decode(Dtype dtype, ReadOnlySpan<byte> stored, float scale, Span<float> row)
    {
        RowConvert.ToSingle(dtype, stored, row);
        if (dtype == Dtype.Int8) RowMath.Scale(row, scale);
    }

    private static void OutwardHalf(ReadOnlySpan<float> row, Span<byte> stored)
    {
        int half = row.Length / 2;
        for (int j = 0; j < row.Length; j++)
        {
            var rounded = (Half)row[j];
            if (j < half && (float)rounded < row[j]) rounded = Half.BitIncrement(rounded);
            if (j >= half && (float)rounded > row[j]) rounded = Half.BitDecrement(rounded);
            BitConverter.TryWriteBytes(stored[(j * 2)..], rounded);
        }
    }

    private static float OutwardInt8(ReadOnlySpan<float> row, Span<byte> stored)
    {
        int half = row.Length / 2;
        // One step up, so that 127 times the scale is not below the largest number.
        float scale = Math.Max(MathF.BitIncrement(RowMath.MaxAbs(row) / CodeMax), ScaleMin);
        for (int j = 0; j < row.Length; j++)
        {
            float code = j < half ? MathF.Ceiling(row[j] / scale) : MathF.Floor(row[j] / scale);
            // The division rounds too: what comes back decides.
            if (j < half && code * scale < row[j]) code++;
            if (j >= half && code * scale > row[j]) code--;
            stored[j] = (byte)(sbyte)Math.Clamp(code, -CodeMax, CodeMax);
        }

        return scale;
    }
}
