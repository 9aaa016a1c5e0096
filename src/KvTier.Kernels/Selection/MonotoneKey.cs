namespace KvTier.Kernels;

/// <summary>Floats as unsigned integers in the same order.</summary>
internal static class MonotoneKey
{
    /// <summary>The key of a number; 0 for NaN, which is below that of minus infinity. Adding 0 makes -0 into 0, so that the two tie.
    /// </summary>
    internal static uint Of(float score)
    {
        if (float.IsNaN(score)) return 0;
        uint bits = BitConverter.SingleToUInt32Bits(score + 0f);
        return bits ^ ((uint)((int)bits >> 31) | 0x80000000);
    }

    /// <summary>The number of a key.</summary>
    internal static float Score(uint key) =>
        BitConverter.UInt32BitsToSingle(key >= 0x80000000 ? key ^ 0x80000000 : ~key);
}
