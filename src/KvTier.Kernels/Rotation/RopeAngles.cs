namespace KvTier.Kernels;

/// <summary>
/// Cosines and sines of a run of positions (RoFormer): pair j at position p turns by p / ScalingFactor · Theta^(-2j / RotaryDim). Made
/// once for the tokens of a block and used for all its heads. Angles are computed in double: at position
/// 10^6 an fp32 angle would be off by 0.06.
/// </summary>
public sealed class RopeAngles
{
    private readonly float[] cosines;
    private readonly float[] sines;

    /// <summary>Computes the angles of tokens that follow each other.</summary>
    /// <param name="rotation">How keys rotate; its first position counts.</param>
    /// <param name="headDim">Elements of a row (D); the rotary dimension when the rotation says 0.</param>
    /// <param name="firstToken">Number of the first token in its sequence; its position is FirstPosition + firstToken.</param>
    /// <param name="tokens">How many.</param>
    /// <exception cref="ArgumentException">The rotary dimension is odd, or larger than the row.</exception>
    public RopeAngles(RopeRotation rotation, int headDim, long firstToken, int tokens)
        : this(rotation, headDim, tokens, t => rotation.FirstPosition + firstToken + t)
    {
    }

    /// <summary>Computes the angles of tokens at given positions.</summary>
    /// <param name="rotation">How keys rotate; its first position does not count.</param>
    /// <param name="headDim">Elements of a row (D); the rotary dimension when the rotation says 0.</param>
    /// <param name="positions">The position of every row.</param>
    /// <exception cref="ArgumentException">The rotary dimension is odd, or larger than the row.</exception>
    public RopeAngles(RopeRotation rotation, int headDim, IReadOnlyList<long> positions)
        : this(rotation, headDim, positions.Count, t => positions[t])
    {
    }

    private RopeAngles(RopeRotation rotation, int headDim, int tokens, Func<int, long> position)
    {
        RotaryDim = rotation.RotaryDim == 0 ? headDim : rotation.RotaryDim;
        if (RotaryDim < 0 || RotaryDim > headDim || RotaryDim % 2 != 0)
            throw new ArgumentException($"rotary dimension {RotaryDim} is not even or not within the row of {headDim}", nameof(rotation));
        Pairing = rotation.Pairing;
        Tokens = tokens;
        HeadDim = headDim;
        int half = RotaryDim / 2;
        cosines = new float[tokens * half];
        sines = new float[tokens * half];
        for (int j = 0; j < half; j++)
        {
            double frequency = Math.Pow(rotation.Theta, -2.0 * j / RotaryDim) / rotation.ScalingFactor;
            for (int t = 0; t < tokens; t++)
            {
                (double sin, double cos) = Math.SinCos(position(t) * frequency);
                cosines[(t * half) + j] = (float)cos;
                sines[(t * half) + j] = (float)sin;
            }
        }
    }

    /// <summary>Rows there are angles for.</summary>
    public int Tokens { get; }

    /// <summary>Elements of a row (D).</summary>
    public int HeadDim { get; }

    /// <summary>Leading dimensions that rotate.</summary>
    public int RotaryDim { get; }

    /// <summary>How dimensions pair up.</summary>
    public RopePairing Pairing { get; }

    /// <summary>Cosines of a row's pairs.</summary>
    internal ReadOnlySpan<float> Cosines(int row) => cosines.AsSpan(row * RotaryDim / 2, RotaryDim / 2);

    /// <summary>Sines of a row's pairs.</summary>
    internal ReadOnlySpan<float> Sines(int row) => sines.AsSpan(row * RotaryDim / 2, RotaryDim / 2);
}
