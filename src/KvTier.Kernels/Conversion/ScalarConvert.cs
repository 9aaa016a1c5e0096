namespace KvTier.Kernels;

/// <summary>Conversions of one element, written to be read: what the vector kernels are tested against.</summary>
internal static class ScalarConvert
{
    /// <summary>Element i of a row of a dtype.</summary>
    internal static float Read(Dtype dtype, ReadOnlySpan<byte> source, long i)
    {
        ref byte at = ref Unsafe.Add(ref MemoryMarshal.GetReference(source), (nint)(i * dtype.SizeBytes()));
        return dtype switch
        {
            Dtype.Float32 => Float32Element.LoadOne(ref at),
            Dtype.Float16 => Float16Element.LoadOne(ref at),
            Dtype.BFloat16 => BFloat16Element.LoadOne(ref at),
            Dtype.Float8E4M3 => E4M3Element.LoadOne(ref at),
            Dtype.Float8E5M2 => E5M2Element.LoadOne(ref at),
            Dtype.Int8 => Int8Element.LoadOne(ref at),
            _ => throw new NotSupportedException(dtype.Name()),
        };
    }

    internal static float FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Nearest even. A NaN stays one even if its upper payload bits are zero.</summary>
    internal static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value)) return (ushort)((bits >> 16) | 0x40);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    internal static float FromE5M2(byte code) => (float)BitConverter.UInt16BitsToHalf((ushort)(code << 8));

    /// <summary>Nearest even; beyond 57,344 infinity, as IEEE 754 rounds.</summary>
    internal static byte ToE5M2(float value)
    {
        if (float.IsNaN(value)) return WithSign(0x7E, value);
        double magnitude = RoundTo(value, mantissaBits: 2, smallestExponent: -14);
        if (magnitude > 57344) return WithSign(0x7C, value);
        return WithSign((byte)(BitConverter.HalfToUInt16Bits((Half)magnitude) >> 8), value);
    }

    /// <summary>s eeee mmm, bias 7; s 1111 111 is NaN.</summary>
    internal static float FromE4M3(byte code)
    {
        int exponent = (code >> 3) & 15;
        int mantissa = code & 7;
        if (exponent == 15 && mantissa == 7) return float.NaN;
        float magnitude = exponent == 0 ? MathF.ScaleB(mantissa, -9) : MathF.ScaleB(8 + mantissa, exponent - 10);
        return code < 128 ? magnitude : -magnitude;
    }

    /// <summary>Nearest even, saturating at 448: the format has no infinity, and an attention over NaN is worth nothing.</summary>
    internal static byte ToE4M3(float value)
    {
        if (float.IsNaN(value)) return WithSign(0x7F, value);
        double magnitude = Math.Min(RoundTo(value, mantissaBits: 3, smallestExponent: -6), 448);
        if (magnitude < 0.015625) return WithSign((byte)(magnitude * 512), value);
        int exponent = Math.ILogB(magnitude);
        int mantissa = (int)(Math.ScaleB(magnitude, 3 - exponent) - 8);
        return WithSign((byte)(((exponent + 7) << 3) | mantissa), value);
    }

    /// <summary>Nearest even, saturating; NaN becomes 0.</summary>
    internal static sbyte ToInt8(float value) => float.IsNaN(value) ? (sbyte)0 : (sbyte)Math.Clamp(MathF.Round(value), -128, 127);

    /// <summary>|value| rounded to so many bits after the first, or to the smallest denormal step.</summary>
    private static double RoundTo(float value, int mantissaBits, int smallestExponent)
    {
        double magnitude = Math.Abs((double)value);
        if (magnitude == 0 || double.IsInfinity(magnitude)) return magnitude;
        int step = Math.Max(Math.ILogB(magnitude), smallestExponent) - mantissaBits;
        return Math.ScaleB(Math.Round(Math.ScaleB(magnitude, -step)), step);
    }

    private static byte WithSign(byte code, float value) => (byte)(code | (float.IsNegative(value) ? 0x80 : 0));
}
