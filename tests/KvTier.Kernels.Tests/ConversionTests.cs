using System.Runtime.InteropServices;
using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>Every bit pattern of the small types, in every vector width, bit for bit against the readable reference.</summary>
public class ConversionTests
{
    [Fact]
    public void ToSingle_EveryFloat16Pattern_IsExact() => CheckWidening<Float16Element>(Patterns16());

    [Fact]
    public void ToSingle_EveryBFloat16Pattern_IsExact() => CheckWidening<BFloat16Element>(Patterns16());

    [Fact]
    public void ToSingle_EveryByteOfTheSmallTypes_IsExact()
    {
        CheckWidening<E4M3Element>(Patterns8());
        CheckWidening<E5M2Element>(Patterns8());
        CheckWidening<Int8Element>(Patterns8());
    }

    [Fact]
    public void E4M3_NamedPatterns_AreTheOnesOfTheSpecification()
    {
        Assert.Equal(448f, ScalarConvert.FromE4M3(0x7E));
        Assert.Equal(float.NaN, ScalarConvert.FromE4M3(0x7F));
        Assert.Equal(-MathF.ScaleB(1, -9), ScalarConvert.FromE4M3(0x81));
        Assert.Equal(MathF.ScaleB(1, -6), ScalarConvert.FromE4M3(0x08));
        Assert.Equal(1f, ScalarConvert.FromE4M3(0x38));
        Assert.Equal(57344f, ScalarConvert.FromE5M2(0x7B));
        Assert.Equal(float.NegativeInfinity, ScalarConvert.FromE5M2(0xFC));
        Assert.Equal(MathF.ScaleB(1, -16), ScalarConvert.FromE5M2(0x01));
    }

    [Fact]
    public void FromSingle_EveryFloat16PatternAndItsNeighbours_RoundsAsTheReference()
    {
        float[] source = WithNeighbours(Patterns16().Length / 2, i => (float)BitConverter.UInt16BitsToHalf((ushort)i));
        CheckNarrowing<Float16Narrowing>(source);
        CheckNarrowing<E5M2Narrowing>(source);
        CheckNarrowing<E4M3Narrowing>(source);
        CheckNarrowing<Int8Narrowing>(source);
    }

    [Fact]
    public void FromSingle_EveryBFloat16PatternAndItsNeighbours_RoundsAsTheReference()
    {
        float[] source = WithNeighbours(Patterns16().Length / 2, i => ScalarConvert.FromBFloat16((ushort)i));
        CheckNarrowing<BFloat16Narrowing>(source);
        CheckNarrowing<Float16Narrowing>(source);
        CheckNarrowing<E5M2Narrowing>(source);
        CheckNarrowing<E4M3Narrowing>(source);
        CheckNarrowing<Int8Narrowing>(source);
    }

    [Fact]
    public void FromSingle_Fp8_PicksTheNearestCode()
    {
        Random random = new(5);
        for (int i = 0; i < 20_000; i++)
        {
            float value = MathF.ScaleB((float)random.NextDouble() - 0.5f, random.Next(-12, 10));
            CheckNearest(value, ScalarConvert.ToE4M3(value), ScalarConvert.FromE4M3);
            CheckNearest(value, ScalarConvert.ToE5M2(value), ScalarConvert.FromE5M2);
        }
    }

    [Fact]
    public void FromSingle_WhatATypeCannotHold_SaturatesOrBecomesInfinityAsStated()
    {
        byte[] code = new byte[2];
        RowConvert.FromSingle(Dtype.Float8E4M3, [float.PositiveInfinity, -1e30f], code);
        Assert.Equal([0x7E, 0xFE], code);
        RowConvert.FromSingle(Dtype.Float8E5M2, [61440f, float.NegativeInfinity], code);
        Assert.Equal([0x7C, 0xFC], code);
        RowConvert.FromSingle(Dtype.Int8, [1e9f, float.NaN], code);
        Assert.Equal([127, 0], code);
        RowConvert.FromSingle(Dtype.Float16, [65520f], code);
        Assert.Equal(Half.PositiveInfinity, MemoryMarshal.Read<Half>(code));
    }

    [Fact]
    public void Convert_SpanTooShortOrRaw_Throws()
    {
        Assert.Throws<ArgumentException>(() => RowConvert.ToSingle(Dtype.Float16, new byte[7], new float[4]));
        Assert.Throws<ArgumentException>(() => RowConvert.FromSingle(Dtype.Float16, new float[4], new byte[7]));
        Assert.Throws<NotSupportedException>(() => RowConvert.ToSingle(Dtype.Raw, new byte[8], new float[4]));
    }

    private static void CheckNearest(float value, byte code, Func<byte, float> decode)
    {
        double chosen = Math.Abs((double)decode(code) - value);
        for (int other = 0; other < 256; other++)
        {
            float candidate = decode((byte)other);
            if (float.IsFinite(candidate)) Assert.True(Math.Abs((double)candidate - value) >= chosen, $"{value}: {code:X2}, {other:X2}");
        }
    }

    private static void CheckWidening<TElement>(byte[] source)
        where TElement : struct, IElement
    {
        int count = source.Length / TElement.Size;
        float[] expected = new float[count];
        ToSingleKernel.RunScalar<TElement>(source, expected, 0);
        foreach (int width in Widths.Available())
        {
            float[] actual = new float[count];
            Widths.ToSingle<TElement>(width, source, actual);
            for (int i = 0; i < count; i++)
            {
                bool same = float.IsNaN(expected[i])
                    ? float.IsNaN(actual[i])
                    : BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i]);
                Assert.True(same, $"{typeof(TElement).Name} pattern {i:X}, {width} bits: {actual[i]} for {expected[i]}");
            }
        }
    }

    private static void CheckNarrowing<TNarrowing>(float[] source)
        where TNarrowing : struct, INarrowing
    {
        byte[] expected = new byte[source.Length * TNarrowing.Size];
        FromSingleKernel.RunScalar<TNarrowing>(source, expected, 0);
        foreach (int width in Widths.Available())
        {
            byte[] actual = new byte[expected.Length];
            Widths.FromSingle<TNarrowing>(width, source, actual);
            for (int i = 0; i < source.Length; i++)
            {
                Span<byte> want = expected.AsSpan(i * TNarrowing.Size, TNarrowing.Size);
                Span<byte> have = actual.AsSpan(i * TNarrowing.Size, TNarrowing.Size);
                if (float.IsNaN(source[i]) && TNarrowing.Size == 2) CheckNaN(typeof(TNarrowing) == typeof(Float16Narrowing), have);
                else Assert.True(want.SequenceEqual(have), $"{typeof(TNarrowing).Name} of {source[i]:R}, {width} bits");
            }
        }
    }

    /// <summary>Of a NaN's payload nothing is promised.</summary>
    private static void CheckNaN(bool half, ReadOnlySpan<byte> bytes)
    {
        ushort bits = MemoryMarshal.Read<ushort>(bytes);
        Assert.True(half ? Half.IsNaN(BitConverter.UInt16BitsToHalf(bits)) : float.IsNaN(ScalarConvert.FromBFloat16(bits)), $"{bits:X4}");
    }

    /// <summary>Each value, the floats beside it, and the middle between it and the next, with its neighbours: where rounding decides.
    /// </summary>
    private static float[] WithNeighbours(int count, Func<int, float> value)
    {
        List<float> values = [];
        for (int i = 0; i < count; i++)
        {
            float exact = value(i);
            float middle = i + 1 < count ? (exact / 2) + (value(i + 1) / 2) : exact;
            values.AddRange([exact, MathF.BitIncrement(exact), MathF.BitDecrement(exact)]);
            values.AddRange([middle, MathF.BitIncrement(middle), MathF.BitDecrement(middle)]);
        }

        values.AddRange([float.NaN, -float.NaN, BitConverter.Int32BitsToSingle(0x7F800001), BitConverter.Int32BitsToSingle(0x7FFFFFFF)]);
        values.AddRange([float.MaxValue, float.MinValue, float.Epsilon, -float.Epsilon, 0f, -0f, 126.5f, 127.5f, -128.5f, -127.5f]);
        return [.. values];
    }

    private static byte[] Patterns16()
    {
        byte[] bytes = new byte[2 << 16];
        for (int i = 0; i < 1 << 16; i++) MemoryMarshal.Write(bytes.AsSpan(2 * i), (ushort)i);
        return bytes;
    }

    private static byte[] Patterns8() => [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
}
