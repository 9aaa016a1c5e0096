using System.Runtime.InteropServices;

namespace KvTier.Kernels.Device.Tests;

/// <summary>Stored elements and what they stand for: written from the formats' definitions, in double, apart from the kernels.</summary>
internal static class Elements
{
    private static readonly byte[] E4M3Order = Order(Dtype.Float8E4M3);
    private static readonly byte[] E5M2Order = Order(Dtype.Float8E5M2);

    /// <summary>The value of an element's bits.</summary>
    public static double Decode(Dtype dtype, uint bits) => dtype switch
    {
        Dtype.Float32 => BitConverter.UInt32BitsToSingle(bits),
        Dtype.Float16 => (double)BitConverter.UInt16BitsToHalf((ushort)bits),
        Dtype.BFloat16 => BitConverter.UInt32BitsToSingle(bits << 16),
        Dtype.Float8E4M3 => (bits & 0x7f) == 0x7f ? double.NaN : Minifloat(bits, exponentBits: 4, mantissaBits: 3),
        Dtype.Float8E5M2 => (bits & 0x7c) == 0x7c
            ? (bits & 3) != 0 ? double.NaN : (bits & 0x80) != 0 ? double.NegativeInfinity : double.PositiveInfinity
            : Minifloat(bits, exponentBits: 5, mantissaBits: 2),
        Dtype.Int8 => (sbyte)bits,
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };

    /// <summary>The bits of an element near a value.</summary>
    public static uint Encode(Dtype dtype, double value) => dtype switch
    {
        Dtype.Float32 => BitConverter.SingleToUInt32Bits((float)value),
        Dtype.Float16 => BitConverter.HalfToUInt16Bits((Half)value),
        Dtype.BFloat16 => BitConverter.SingleToUInt32Bits((float)value) >> 16,
        Dtype.Float8E4M3 => Nearest(E4M3Order, dtype, value),
        Dtype.Float8E5M2 => Nearest(E5M2Order, dtype, value),
        Dtype.Int8 => (byte)(sbyte)Math.Clamp(Math.Round(value), -128, 127),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };

    /// <summary>Stores bits at an element's place.</summary>
    public static void Write(Dtype dtype, Span<byte> bytes, int index, uint bits)
    {
        switch (dtype.SizeBytes())
        {
            case 4:
                MemoryMarshal.Cast<byte, uint>(bytes)[index] = bits;
                break;
            case 2:
                MemoryMarshal.Cast<byte, ushort>(bytes)[index] = (ushort)bits;
                break;
            default:
                bytes[index] = (byte)bits;
                break;
        }
    }

    private static double Minifloat(uint bits, int exponentBits, int mantissaBits)
    {
        int bias = (1 << (exponentBits - 1)) - 1;
        int exponent = (int)(bits >> mantissaBits) & ((1 << exponentBits) - 1);
        double mantissa = bits & ((1u << mantissaBits) - 1);
        double step = Math.Pow(2, -mantissaBits);
        double magnitude = exponent == 0 ? mantissa * step * Math.Pow(2, 1 - bias) : (1 + (mantissa * step)) * Math.Pow(2, exponent - bias);
        return (bits & 0x80) != 0 ? -magnitude : magnitude;
    }

    private static byte[] Order(Dtype dtype) =>
        [.. Enumerable.Range(0, 256).Select(code => (byte)code).Where(code => double.IsFinite(Decode(dtype, code)))
            .OrderBy(code => Decode(dtype, code))];

    private static uint Nearest(byte[] order, Dtype dtype, double value)
    {
        int low = 0;
        int high = order.Length - 1;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (Decode(dtype, order[middle]) < value) low = middle + 1;
            else high = middle;
        }

        return order[low];
    }
}
