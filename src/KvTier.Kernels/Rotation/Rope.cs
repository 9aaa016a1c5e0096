namespace KvTier.Kernels;

/// <summary>Rotates rows by their positions, and back (RoFormer): (x, y) becomes (x·cos - y·sin, y·cos + x·sin). Dimensions past the rotary
/// dimension stay. There and back is exact up to rounding in fp32.</summary>
public static class Rope
{
    /// <summary>Rotates rows in place.</summary>
    /// <param name="rows">fp32 <c>[n, D]</c>.</param>
    /// <param name="headDim">D.</param>
    /// <param name="positions">The position of every row; the rotation's first position does not count.</param>
    /// <param name="rotation">How keys rotate.</param>
    /// <param name="inverse">True to turn back.</param>
    /// <exception cref="ArgumentException">The rows are not as many as the positions, or the rotary dimension does not fit.</exception>
    public static void Rotate(Span<float> rows, int headDim, IReadOnlyList<long> positions, RopeRotation rotation, bool inverse = false) =>
        Rotate(rows, new RopeAngles(rotation, headDim, positions), inverse);

    /// <summary>Rotates rows in place by angles computed before; allocates nothing.</summary>
    /// <param name="rows">fp32 <c>[angles.Tokens, D]</c>.</param>
    /// <param name="angles">The angles.</param>
    /// <param name="inverse">True to turn back.</param>
    /// <exception cref="ArgumentException">The rows are not as many as the angles are for.</exception>
    public static void Rotate(Span<float> rows, RopeAngles angles, bool inverse = false)
    {
        if (rows.Length != (long)angles.Tokens * angles.HeadDim)
            throw new ArgumentException($"{rows.Length} elements where the angles are for {angles.Tokens} rows", nameof(rows));
        for (int t = 0; t < angles.Tokens; t++)
        {
            Span<float> row = rows.Slice(t * angles.HeadDim, angles.RotaryDim);
            if (angles.Pairing == RopePairing.Interleaved) Interleaved(row, angles.Cosines(t), angles.Sines(t), inverse ? -1 : 1);
            else Halves(row, angles.Cosines(t), angles.Sines(t), inverse ? -1 : 1);
        }
    }

    private static void Halves(Span<float> row, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines, float sign)
    {
        int half = cosines.Length;
        Span<float> low = row[..half], high = row[half..];
        int j = 0;
        for (; j <= half - Vector128<float>.Count; j += Vector128<float>.Count)
        {
            Vector128<float> x = Vector128.Create<float>(low[j..]), y = Vector128.Create<float>(high[j..]);
            Vector128<float> cos = Vector128.Create(cosines[j..]), sin = sign * Vector128.Create(sines[j..]);
            ((x * cos) - (y * sin)).CopyTo(low[j..]);
            ((y * cos) + (x * sin)).CopyTo(high[j..]);
        }

        for (; j < half; j++)
        {
            float x = low[j], y = high[j], sin = sign * sines[j];
            low[j] = (x * cosines[j]) - (y * sin);
            high[j] = (y * cosines[j]) + (x * sin);
        }
    }

    private static void Interleaved(Span<float> row, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines, float sign)
    {
        for (int j = 0; j < cosines.Length; j++)
        {
            float x = row[2 * j], y = row[(2 * j) + 1], sin = sign * sines[j];
            row[2 * j] = (x * cosines[j]) - (y * sin);
            row[(2 * j) + 1] = (y * cosines[j]) + (x * sin);
        }
    }
}
