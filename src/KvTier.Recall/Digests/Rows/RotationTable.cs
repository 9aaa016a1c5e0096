namespace KvTier.Recall;

/// <summary>
/// Rotates keys that are stored before rotation (RoFormer): cosines and sines of one block's positions, made once for all layers and
/// heads.
/// </summary>
internal sealed class RotationTable(RopeRotation rotation, int headDim, int blockTokens)
{
    private readonly int pairs = (rotation.RotaryDim == 0 ? headDim : rotation.RotaryDim) / 2;
    private readonly float[] cosines = new float[(rotation.RotaryDim == 0 ? headDim : rotation.RotaryDim) / 2 * blockTokens];
    private readonly float[] sines = new float[(rotation.RotaryDim == 0 ? headDim : rotation.RotaryDim) / 2 * blockTokens];

    /// <summary>Moves to a block.</summary>
    /// <param name="firstToken">First token of it, counted from the sequence's first.</param>
    internal void MoveTo(long firstToken)
    {
        for (int i = 0; i < cosines.Length; i++)
        {
            double position = (rotation.FirstPosition + firstToken + (i / pairs)) / rotation.ScalingFactor;
            double angle = position * Math.Pow(rotation.Theta, -(double)(i % pairs) / pairs);
            cosines[i] = (float)Math.Cos(angle);
            sines[i] = (float)Math.Sin(angle);
        }
    }

    /// <summary>Rotates the key of a token of the block.</summary>
    internal void Rotate(int token, Span<float> key)
    {
        bool halves = rotation.Pairing == RopePairing.Half;
        for (int pair = 0; pair < pairs; pair++)
        {
            int a = halves ? pair : 2 * pair;
            int b = halves ? pair + pairs : a + 1;
            float cos = cosines[(token * pairs) + pair];
            float sin = sines[(token * pairs) + pair];
            (key[a], key[b]) = ((key[a] * cos) - (key[b] * sin), (key[b] * cos) + (key[a] * sin));
        }
    }
}
