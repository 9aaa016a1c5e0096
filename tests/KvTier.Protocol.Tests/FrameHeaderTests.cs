using System.Buffers.Binary;

namespace KvTier.Protocol.Tests;

public sealed class FrameHeaderTests
{
    private static readonly Limits limits = Limits.Default with { FrameBodyBytesMax = 100, FramePayloadBytesMax = 1000 };

    [Fact]
    public void TryParse_OfAnyFlippedBit_IsNeverOk()
    {
        byte[] good = Header(new FrameHeader(FrameKind.Request, Opcode.Get, 42, 10, 0x1234, 100));
        for (int bit = 0; bit < good.Length * 8; bit++)
        {
            byte[] bad = [.. good];
            bad[bit / 8] ^= (byte)(1 << (bit % 8));
            FrameStatus status = FrameHeader.TryParse(bad, limits, out _);
            Assert.Equal(bit < 32 ? FrameStatus.BadMagic : FrameStatus.BadCrc, status);
        }
    }

    [Fact]
    public void TryParse_OfEveryShorterPart_IsIncomplete()
    {
        byte[] good = Header(new FrameHeader(FrameKind.Request, Opcode.Get, 42, 10, 0x1234, 100));
        for (int length = 0; length < good.Length; length++)
            Assert.Equal(FrameStatus.Incomplete, FrameHeader.TryParse(good.AsSpan(0, length), limits, out _));
    }

    [Fact]
    public void TryParse_OfAnotherProtocolsFirstByte_IsBadMagicAtOnce()
    {
        Assert.Equal(FrameStatus.BadMagic, FrameHeader.TryParse("G"u8, limits, out _));
        KvError error = FrameHeader.ErrorOf(FrameStatus.BadMagic, "G"u8, limits);
        Assert.Equal("ProtocolViolation: frame.magic is 47; allowed: 4B565431", error.Message);
    }

    [Theory]
    [InlineData(4, 2, FrameStatus.BadVersion, "VersionMismatch: frame.version is 2; allowed: 1")]
    [InlineData(5, 0, FrameStatus.BadKind, "ProtocolViolation: frame.kind is 0; allowed: 1 to 4")]
    [InlineData(5, 5, FrameStatus.BadKind, "ProtocolViolation: frame.kind is 5; allowed: 1 to 4")]
    [InlineData(16, 101, FrameStatus.BodyTooLong, "LimitExceeded: frame.bodyLength is 101; allowed: 100")]
    [InlineData(19, 0xFF, FrameStatus.BodyTooLong, "LimitExceeded: frame.bodyLength is 4278190090; allowed: 100")]
    [InlineData(27, 0xFF, FrameStatus.PayloadTooLong, "LimitExceeded: frame.payloadLength is 4278190080; allowed: 1000")]
    public void TryParse_OfAWrongField_SaysWhichAndWhatIsAllowed(int offset, byte value, FrameStatus expected, string message)
    {
        byte[] bytes = Header(new FrameHeader(FrameKind.Request, Opcode.Get, 42, 10, 0x1234, 0));
        bytes[offset] = value;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(28), Crc32C.Compute(bytes.AsSpan(0, 28)));
        Assert.Equal(expected, FrameHeader.TryParse(bytes, limits, out FrameHeader header));
        Assert.Equal(message, FrameHeader.ErrorOf(expected, bytes, limits).Message);
        Assert.Equal(42UL, header.RequestId);
    }

    [Fact]
    public void TryParse_AtTheLimits_IsOk()
    {
        byte[] bytes = Header(new FrameHeader(FrameKind.Request, Opcode.Put, 1, 100, 0, 1000));
        Assert.Equal(FrameStatus.Ok, FrameHeader.TryParse(bytes, limits, out _));
    }

    [Fact]
    public void CheckBody_OfOneFlippedBit_NamesBothCrcs()
    {
        byte[] body = [0x92, 1, 2];
        var header = new FrameHeader(FrameKind.Request, Opcode.Get, 1, body.Length, Crc32C.Compute(body), 0);
        Assert.Null(header.CheckBody(body));
        body[1] ^= 4;
        KvError error = header.CheckBody(body)!;
        Assert.Equal((ErrorCode.ProtocolViolation, "frame.bodyCrc"), (error.Code, error.Field));
        Assert.Equal("frame.bodyLength", header.CheckBody(body.AsSpan(1))!.Field);
    }

    [Fact]
    public void Write_OfALengthThatDoesNotFit_Throws()
    {
        var header = new FrameHeader(FrameKind.Request, Opcode.Get, 1, 0, 0, 1L << 32);
        Assert.Throws<ArgumentOutOfRangeException>(() => header.Write(new byte[FrameHeader.SizeBytes]));
    }

    [Fact]
    public void Complete_OfSeveralFramesInOneBuffer_KeepsEachWhole()
    {
        using var buffer = new FrameBuffer(1);
        Frame.WriteEmpty(buffer, FrameKind.Request, Opcode.Ping, 1);
        int second = buffer.WrittenCount;
        Frame.WriteError(buffer, Opcode.Put, 2, KvError.LimitExceeded("put.items.count", 5000, 4096));
        Assert.Equal(FrameStatus.Ok, FrameHeader.TryParse(buffer.WrittenSpan, Limits.Default, out FrameHeader first));
        Assert.Equal(second, FrameHeader.SizeBytes + first.BodyLength);
        Assert.Equal(FrameStatus.Ok, FrameHeader.TryParse(buffer.WrittenSpan[second..], Limits.Default, out FrameHeader error));
        ReadOnlySpan<byte> body = buffer.WrittenSpan[(second + FrameHeader.SizeBytes)..];
        Assert.Null(error.CheckBody(body));
        Assert.Equal("LimitExceeded: put.items.count is 5000; allowed: 4096", ErrorBody.Read(body).Message);
    }

    private static byte[] Header(FrameHeader header)
    {
        byte[] bytes = new byte[FrameHeader.SizeBytes];
        header.Write(bytes);
        return bytes;
    }
}
