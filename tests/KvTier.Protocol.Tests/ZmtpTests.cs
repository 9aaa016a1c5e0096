using System.Text;
using KvTier.Protocol.Zmtp;

namespace KvTier.Protocol.Tests;

/// <summary>ZMTP 3: greetings, frames and commands, whole, cut and wrong.</summary>
public sealed class ZmtpTests
{
    [Fact]
    public void Greeting_Written_IsReadAgainAndCutOnesWait()
    {
        var bytes = new byte[ZmtpGreeting.SizeBytes];
        var greeting = new ZmtpGreeting(1, "PLAIN", AsServer: true);
        greeting.Write(bytes);
        Assert.Equal("FF00000000000000007F0301504C41494E", Convert.ToHexString(bytes.AsSpan(0, 17)));
        for (int length = 0; length < bytes.Length; length++)
            Assert.Equal(ZmtpStatus.Incomplete, ZmtpGreeting.TryRead(bytes.AsSpan(0, length), out _));
        Assert.Equal(ZmtpStatus.Ok, ZmtpGreeting.TryRead(bytes, out ZmtpGreeting read));
        Assert.Equal(greeting, read);
    }

    [Theory]
    [InlineData("47455420", ZmtpStatus.NotZmtp)]
    [InlineData("FF00000000000000017E", ZmtpStatus.NotZmtp)]
    [InlineData("FF00000000000000007F01", ZmtpStatus.OldVersion)]
    [InlineData("FF00000000000000007F02", ZmtpStatus.OldVersion)]
    public void Greeting_OfSomethingElse_IsToldEarly(string hex, ZmtpStatus expected) =>
        Assert.Equal(expected, ZmtpGreeting.TryRead(Convert.FromHexString(hex), out _));

    [Fact]
    public void Greeting_OfALaterMajorVersion_IsSpokenToAs31()
    {
        var bytes = new byte[ZmtpGreeting.SizeBytes];
        new ZmtpGreeting(0, "NULL", false).Write(bytes);
        bytes[10] = 4;
        Assert.Equal(ZmtpStatus.Ok, ZmtpGreeting.TryRead(bytes, out ZmtpGreeting read));
        Assert.Equal(1, read.Minor);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(70_000)]
    public void Frame_Written_IsReadAgain(int length)
    {
        byte[] body = [.. Enumerable.Range(0, length).Select(i => (byte)i)];
        var bytes = new byte[ZmtpFrame.SizeOf(length)];
        Assert.Equal(bytes.Length, ZmtpFrame.Write(bytes, ZmtpFlags.More, body));
        Assert.Equal(ZmtpStatus.Ok, ZmtpFrame.TryRead(bytes, length, out ZmtpFrame frame));
        Assert.Equal((ZmtpFlags.More, length), (frame.Flags, frame.Length));
        Assert.True(body.AsSpan().SequenceEqual(bytes.AsSpan(frame.HeadBytes)));
        for (int cut = 0; cut < frame.HeadBytes; cut++)
            Assert.Equal(ZmtpStatus.Incomplete, ZmtpFrame.TryRead(bytes.AsSpan(0, cut), length, out _));
        if (length > 0) Assert.Equal(ZmtpStatus.TooLong, ZmtpFrame.TryRead(bytes, length - 1, out _));
    }

    [Theory]
    [InlineData("0801")]
    [InlineData("8001")]
    [InlineData("0501")]
    public void Frame_UnknownFlagsOrACommandInParts_IsMalformed(string hex) =>
        Assert.Equal(ZmtpStatus.Malformed, ZmtpFrame.TryRead(Convert.FromHexString(hex), 100, out _));

    [Fact]
    public void Frame_LongestLength_IsTooLongAndNoOverflow() =>
        Assert.Equal(ZmtpStatus.TooLong, ZmtpFrame.TryRead(Convert.FromHexString("02FFFFFFFFFFFFFFFF"), int.MaxValue, out _));

    [Fact]
    public void Ready_Written_HasItsSocketType()
    {
        byte[] frame = ZmtpCommand.Ready("PUB");
        Assert.Equal(ZmtpStatus.Ok, ZmtpFrame.TryRead(frame, 1000, out ZmtpFrame head));
        Assert.Equal(ZmtpFlags.Command, head.Flags);
        Assert.True(ZmtpCommand.TryRead(frame.AsSpan(head.HeadBytes), out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> data));
        Assert.Equal("READY", Encoding.ASCII.GetString(name));
        Assert.True(ZmtpCommand.TryFind(data, "socket-type", out string type));
        Assert.Equal("PUB", type);
        Assert.True(ZmtpCommand.TryFind(data, "Identity", out string none));
        Assert.Equal("", none);
        for (int cut = 1; cut < data.Length; cut++) Assert.False(ZmtpCommand.TryFind(data[..cut], "Socket-Type", out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("00")]
    [InlineData("0552454144")]
    public void Command_WithoutAWholeName_IsRefused(string hex) =>
        Assert.False(ZmtpCommand.TryRead(Convert.FromHexString(hex), out _, out _));

    [Fact]
    public void Plain_UserAndPassword_AreReadAndCutOnesRefused()
    {
        byte[] data = [2, .. "me"u8, 3, .. "pwd"u8];
        Assert.True(ZmtpCommand.TryReadPlain(data, out string user, out string password));
        Assert.Equal(("me", "pwd"), (user, password));
        for (int cut = 0; cut < data.Length; cut++) Assert.False(ZmtpCommand.TryReadPlain(data.AsSpan(0, cut), out _, out _));
        Assert.False(ZmtpCommand.TryReadPlain([.. data, 0], out _, out _));
    }

    [Fact]
    public void RandomBytes_AnyReader_ReturnsAndNeverThrows()
    {
        var random = new Random(11);
        var bytes = new byte[80];
        for (int round = 0; round < 20_000; round++)
        {
            random.NextBytes(bytes);
            if (round % 2 == 0) bytes[0] = 0xFF;
            ReadOnlySpan<byte> some = bytes.AsSpan(0, random.Next(bytes.Length + 1));
            ZmtpGreeting.TryRead(some, out _);
            ZmtpFrame.TryRead(some, 8192, out _);
            ZmtpCommand.TryFind(some, "Socket-Type", out _);
            ZmtpCommand.TryReadPlain(some, out _, out _);
            if (ZmtpCommand.TryRead(some, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> data))
                Assert.Equal(some.Length, 1 + name.Length + data.Length);
        }
    }

    [Theory]
    [InlineData(KvEventHashes.Int, "CFFFFFFFFFFFFFFFFE")]
    [InlineData(KvEventHashes.Signed, "FE")]
    [InlineData(KvEventHashes.Bytes, "C409AAFFFFFFFFFFFFFFFE")]
    public void Events_Hashes_AreTheirLastEightBytesOrAll(KvEventHashes hashes, string expected)
    {
        byte[] hash = [0xAA, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE];
        var removed = new KvEvent(KvEventKind.Removed, "CPU", [new EventNote(default, hash, default, default)], 4, null);
        using var buffer = new FrameBuffer();
        new KvEventWriter(KvEventForm.Array, hashes).Write(buffer, 1.5, [removed]);
        string hex = Convert.ToHexString(buffer.WrittenSpan);
        Assert.StartsWith("93CB3FF80000000000009194AC426C6F636B52656D6F766564" + "91" + expected, hex, StringComparison.Ordinal);
    }
}
