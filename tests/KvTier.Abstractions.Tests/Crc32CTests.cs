using System.Text;

namespace KvTier.Abstractions.Tests;

public sealed class Crc32CTests
{
    /// <summary>RFC 3720, appendix B.4, and the check value of the CRC catalogue.</summary>
    public static TheoryData<string, uint> Vectors => new()
    {
        { "", 0 },
        { Convert.ToHexString(Encoding.ASCII.GetBytes("123456789")), 0xE3069283 },
        { new string('0', 64), 0x8A9136AA },
        { new string('F', 64), 0x62A8AB43 },
        { "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", 0x46DD794E },
        { "1F1E1D1C1B1A191817161514131211100F0E0D0C0B0A09080706050403020100", 0x113FDB5C },
        { "01C00000000000000000000000000000140000000000040000000014000000182800000000000000020000000000" + "0000", 0xD9963A56 },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Compute_PublishedVector_GivesThePublishedValue(string hex, uint expected) =>
        Assert.Equal(expected, Crc32C.Compute(Convert.FromHexString(hex)));

    [Fact]
    public void Compute_EveryLengthTo4096_AgreesWithTheBitwiseReference()
    {
        byte[] data = Bytes(4096 + 7, seed: 1);
        for (int length = 0; length <= 4096; length++)
        {
            ReadOnlySpan<byte> span = data.AsSpan(length % 8, length);
            uint expected = Reference(0, span);
            if (expected != Crc32C.Compute(span)) Assert.Fail($"length {length}");
            if (expected != ~Crc32C.Update(~0u, span)) Assert.Fail($"one stream, length {length}");
            if (Crc32CStreams.IsSupported && expected != ~Crc32CStreams.Update(~0u, span)) Assert.Fail($"three streams, length {length}");
            if (Crc32CFolding.IsSupported && length >= Crc32CFolding.BytesMin && expected != ~Crc32CFolding.Update(~0u, span))
                Assert.Fail($"folding, length {length}");
        }
    }

    [Theory]
    [InlineData(100_000)]
    [InlineData(1 << 20)]
    public void Compute_LongInput_EveryPathAgreesWithTheReference(int length)
    {
        byte[] data = Bytes(length, seed: length);
        uint expected = Reference(0, data);
        Assert.Equal(expected, Crc32C.Compute(data));
        Assert.Equal(expected, ~Crc32C.Update(~0u, data));
        Assert.Equal(expected, ~Crc32CStreams.Update(~0u, data));
    }

    [Fact]
    public void AppendAndCombine_RandomSplits_AgreeWithTheWhole()
    {
        var random = new Random(5);
        byte[] data = Bytes(200_000, seed: 2);
        for (int round = 0; round < 300; round++)
        {
            int length = random.Next(data.Length + 1);
            int cut = random.Next(length + 1);
            uint whole = Crc32C.Compute(data.AsSpan(0, length));
            uint head = Crc32C.Compute(data.AsSpan(0, cut));
            uint tail = Crc32C.Compute(data.AsSpan(cut, length - cut));
            Assert.Equal(whole, Crc32C.Append(head, data.AsSpan(cut, length - cut)));
            Assert.Equal(whole, Crc32C.Combine(head, tail, length - cut));
        }
    }

    [Fact]
    public void Compute_OneBitFlippedAnywhere_GivesAnotherValue()
    {
        byte[] data = Bytes(1500, seed: 3);
        uint right = Crc32C.Compute(data);
        for (int bit = 0; bit < data.Length * 8; bit++)
        {
            data[bit / 8] ^= (byte)(1 << (bit % 8));
            if (Crc32C.Compute(data) == right) Assert.Fail($"bit {bit} was not noticed");
            data[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16 << 10)]
    [InlineData((16 << 10) + 1)]
    [InlineData(1_000_003)]
    public void CopyAndCompute_AnyLength_CopiesAndChecks(int length)
    {
        byte[] source = Bytes(length, seed: 4);
        byte[] destination = new byte[length + 3];
        Assert.Equal(Crc32C.Compute(source), Crc32C.CopyAndCompute(source, destination));
        Assert.True(destination.AsSpan(0, length).SequenceEqual(source));
        Assert.Equal([0, 0, 0], destination.AsSpan(length).ToArray());
        Assert.Equal(Crc32C.Append(77, source), Crc32C.CopyAndCompute(source, destination, 77));
    }

    [Fact]
    public void CopyAndCompute_ShortDestination_Throws() =>
        Assert.Throws<ArgumentException>(() => Crc32C.CopyAndCompute(new byte[10], new byte[9]));

    [Fact]
    public void Compute_LongInput_AllocatesNothing()
    {
        byte[] data = Bytes(1 << 16, seed: 6);
        uint sum = Crc32C.Compute(data);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) sum ^= Crc32C.Append(sum, data);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.NotEqual(0u, sum);
    }

    private static byte[] Bytes(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>The definition, bit by bit.</summary>
    private static uint Reference(uint crc, ReadOnlySpan<byte> data)
    {
        crc = ~crc;
        foreach (byte value in data)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
        }

        return ~crc;
    }
}
