namespace KvTier.Recall;

/// <summary>Rotates keys that are stored before rotation (RoFormer, linear position scaling).</summary>
internal sealed class KeyRotation
{
    private readonly double[] turns;
    private readonly long firstPosition;
    private readonly bool interleaved;

    /// <summary>Makes the rotation of a sequence.</summary>
    /// <param name="rotation">Its parameters, checked.</param>
    /// <param name="headDim">Elements of a row (D).</param>
    internal KeyRotation(RopeRotation rotation, int headDim)
    {
        int dim = rotation.RotaryDim == 0 ? headDim : rotation.RotaryDim;
        turns = new double[dim / 2];
        for (int j = 0; j < turns.Length; j++) turns[j] = Math.Pow(rotation.Theta, -2.0 * j / dim) / rotation.ScalingFactor;
        firstPosition = rotation.FirstPosition;
        interleaved = rotation.Pairing == RopePairing.Interleaved;
    }

    /// <summary>Rotates a row in place.</summary>
    /// <param name="row">The row <c>[D]</c>.</param>
    /// <param name="token">Its token, counted in the sequence.</param>
    internal void Rotate(Span<float> row, long token)
    {
        double position = firstPosition + token;
        for (int j = 0; j < turns.Length; j++)
        {
            (double sin, double cos) = Math.SinCos(position * turns[j]);
            int a = interleaved ? 2 * j : j;
            int b = interleaved ? a + 1 : j + turns.Length;
            (float x, float y) = (row[a], row[b]);
            row[a] = (float)((x * cos) - (y * sin));
            row[b] = (float)((x * sin) + (y * cos));
        }
    }

    /// <summary>Checks the parameters of a rotation.</summary>
    /// <returns>Null when they can be used with rows of a length, else the first error.</returns>
    internal static KvError? Validate(RopeRotation rotation, int headDim)
    {
        if (!double.IsFinite(rotation.Theta) || rotation.Theta <= 0)
            return KvError.InvalidArgument("rotation.theta", rotation.Theta, "above 0, finite");
        if (!double.IsFinite(rotation.ScalingFactor) || rotation.ScalingFactor <= 0)
            return KvError.InvalidArgument("rotation.scalingFactor", rotation.ScalingFactor, "above 0, finite");
        if (rotation.RotaryDim < 0 || rotation.RotaryDim > headDim || rotation.RotaryDim % 2 != 0)
            return KvError.InvalidArgument("rotation.rotaryDim", rotation.RotaryDim, $"even, 0 to {headDim}");
        if (rotation.RotaryDim == 0 && headDim % 2 != 0)
            return KvError.InvalidArgument("rotation.rotaryDim", 0, $"even and above 0, as rows have {headDim} elements");
        if (!Enum.IsDefined(rotation.Pairing))
            return KvError.InvalidArgument("rotation.pairing", rotation.Pairing, "half or interleaved");
        return rotation.FirstPosition < 0
            ? KvError.InvalidArgument("rotation.firstPosition", rotation.FirstPosition, "0 or more")
            : null;
    }
}
