namespace KvTier.Cli;

/// <summary>Rotary positions in the rotate-half form: channel i turns with channel i + D/2 by position · θ^(-2i/D).</summary>
internal sealed class SyntheticRope
{
    private readonly int half;
    private readonly float[] cosines;
    private readonly float[] sines;

    /// <summary>Computes the angles of positions 0 .. <paramref name="positions"/> - 1.</summary>
    public SyntheticRope(int positions, int headDim, double theta)
    {
        half = headDim / 2;
        cosines = new float[positions * half];
        sines = new float[positions * half];
        for (int i = 0; i < half; i++)
        {
            double frequency = Math.Pow(theta, -(double)i / half);
            for (int position = 0; position < positions; position++)
            {
                (double sine, double cosine) = Math.SinCos(position * frequency);
                cosines[(position * half) + i] = (float)cosine;
                sines[(position * half) + i] = (float)sine;
            }
        }
    }

    /// <summary>Rotates a row <c>[D]</c> to a position.</summary>
    public void Rotate(Span<float> row, int position)
    {
        ReadOnlySpan<float> c = cosines.AsSpan(position * half, half);
        ReadOnlySpan<float> s = sines.AsSpan(position * half, half);
        Span<float> first = row[..half];
        Span<float> second = row.Slice(half, half);
        for (int i = 0; i < c.Length; i++)
        {
            float x = first[i];
            float y = second[i];
            first[i] = (x * c[i]) - (y * s[i]);
            second[i] = (y * c[i]) + (x * s[i]);
        }
    }
}
