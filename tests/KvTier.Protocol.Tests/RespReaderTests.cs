namespace KvTier.Protocol.Tests;

public sealed class RespReaderTests
{
    public static TheoryData<string, string> Errors => new()
    {
        { "*x\r\n", "invalid multibulk length" },
        { "*\r\n", "invalid multibulk length" },
        { "*01\r\n", "invalid multibulk length" },
        { "*+1\r\n", "invalid multibulk length" },
        { "*99999999999\r\n", "invalid multibulk length" },
        { "*1\r\n:4\r\nPING\r\n", "expected '$', got ':'" },
        { "*1\r\nPING\r\n", "expected '$', got 'P'" },
        { "*1\r\n\r\n\r\n", "expected '$', got ' '" },
        { "*1\r\n\xff\r\n", "expected '$', got '\xff'" },
        { "*1\r\n$x\r\n", "invalid bulk length" },
        { "*1\r\n$-1\r\n", "invalid bulk length" },
        { "*1\r\n$536870913\r\n", "invalid bulk length" },
        { "*1\r\n$99999999999999999999999\r\n", "invalid bulk length" },
        { "GET \"a\r\n", "unbalanced quotes in request" },
        { "GET 'a\r\n", "unbalanced quotes in request" },
        { "GET \"a\"b\r\n", "unbalanced quotes in request" },
        { new string('a', 65_537), "too big inline request" },
        { "*" + new string('1', 65_537), "too big mbulk count string" },
        { "*1\r\n$" + new string('1', 65_537), "too big bulk count string" },
    };

    [Theory]
    [MemberData(nameof(Errors))]
    public void Read_OfMalformedInput_GivesRedisWording(string input, string error)
    {
        var feed = new RespFeed();
        feed.Append(RespFeed.Latin1(input));
        Assert.Equal($"-ERR Protocol error: {error}\r\n", feed.ErrorReply);
    }

    [Theory]
    [InlineData("*11\r\n", "unauthenticated multibulk length")]
    [InlineData("*1\r\n$16385\r\n", "unauthenticated bulk length")]
    public void Read_BeforeAuth_AllowsOnlySmallCommands(string input, string error)
    {
        var feed = new RespFeed(authRequired: true);
        feed.Append(RespFeed.Latin1(input));
        Assert.Equal($"-ERR Protocol error: {error}\r\n", feed.ErrorReply);
        var open = new RespFeed();
        open.Append(RespFeed.Latin1(input));
        Assert.Null(open.ErrorReply);
    }

    [Theory]
    [InlineData("SET a  b\r\n", "SET|a|b")]
    [InlineData("PING\n", "PING")]
    [InlineData("\r\n", "")]
    [InlineData("*0\r\n", "")]
    [InlineData("*-5\r\n", "")]
    [InlineData("  \t set \"a b\\x41\\n\\\"\" 'it\\'s \\n'\r\n", "set|a bA\n\"|it's \\n")]
    [InlineData("x\"y\"\r\n", "xy")]
    [InlineData("get \"\" ''\r\n", "get||")]
    [InlineData("a \"\\x4\" \"\\xzz\"\r\n", "a|x4|xzz")]
    [InlineData("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "GET|")]
    [InlineData("*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n", "GET|a\r\nb")]
    public void Read_OfOneCommand_GivesItsArguments(string input, string expected)
    {
        var feed = new RespFeed();
        feed.Append(RespFeed.Latin1(input));
        Assert.Null(feed.ErrorReply);
        Assert.Equal(expected, string.Join('|', Assert.Single(feed.Commands)));
    }

    [Fact]
    public void Read_SplitAtEveryByte_GivesTheSameCommands()
    {
        byte[] input = [
            .. RespFeed.Encode("SET", "key", new string('v', 40)), .. "PING\r\n"u8, .. RespFeed.Encode("GET", "key"),
            .. "ECHO \"a \\x41\"\r\n"u8, .. "*0\r\n"u8,
            .. RespFeed.Encode("MSET", "a", new string('w', 16), "b", new string('x', 17), "c", "")];
        string expected = Commands(new RespFeed(), [input]);
        Assert.Equal(6, expected.Split('\n').Length);
        foreach (bool takeBulks in new[] { false, true })
        {
            for (int split = 0; split <= input.Length; split++)
                Assert.Equal(expected, Commands(new RespFeed(takeBulks), [input[..split], input[split..]]));
            Assert.Equal(expected, Commands(new RespFeed(takeBulks), [.. input.Select(b => new[] { b })]));
        }
    }

    [Fact]
    public void Read_OfABigBulk_ReportsWhatIsHereSoThatItCanBeTaken()
    {
        var reader = new RespReader { StreamBytesMin = 1000 };
        byte[] head = RespFeed.Latin1("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nabc");
        Assert.Equal(RespStatus.BulkPending, reader.Read(head));
        Assert.Equal((2, 1000, head.Length - 3), (reader.Arguments.Length, reader.PendingLength, reader.PendingOffset));
        reader.TakeBulk();
        Assert.Equal(RespStatus.Ok, reader.Read(head.AsSpan(0, head.Length - 3)));
        Assert.Equal(new RespArgument(-1, 1000), reader.Arguments[2]);
        Assert.Equal(head.Length - 3, reader.Consumed);
        Assert.Throws<InvalidOperationException>(reader.TakeBulk);
    }

    [Fact]
    public void Read_OfAnAnnouncedMillionArguments_AllocatesOnlyForThoseReceived()
    {
        byte[] input = RespFeed.Latin1("*1048576\r\n$1\r\na\r\n");
        RespReader[] readers = [.. Enumerable.Range(0, 5).Select(_ => new RespReader())];
        int at = 0;
        var status = RespStatus.Ok;
        Assert.InRange(Allocated.Least(() => status = readers[at++].Read(input)), 0, 1024);
        Assert.Equal(RespStatus.Incomplete, status);
    }

    [Fact]
    public void Read_OfCommandAfterCommand_AllocatesNothing()
    {
        var reader = new RespReader();
        byte[] input = RespFeed.Encode("SET", "key", "value");
        reader.Read(input);
        Assert.Equal(0, Allocated.Least(() =>
        {
            for (int i = 0; i < 1000; i++) reader.Read(input);
        }));
        Assert.Equal(3, reader.Arguments.Length);
    }

    [Fact]
    public void Write_OfEveryReply_MakesTheBytesOfResp2()
    {
        using var buffer = new FrameBuffer(1);
        var writer = new RespWriter(buffer);
        writer.WriteOk();
        writer.WriteSimpleString("PONG"u8);
        writer.WriteError("ERR a\r\nb ü");
        writer.WriteInteger(long.MinValue);
        writer.WriteBulk("a\r\n"u8);
        writer.WriteBulkNumber(-12);
        writer.WriteNullBulk();
        writer.WriteArrayHeader(0);
        writer.WriteNullArray();
        writer.WriteBulkHeader(3);
        writer.WriteRaw("xyz"u8);
        writer.WriteLineEnd();
        string expected = "+OK\r\n+PONG\r\n-ERR a  b ü\r\n:-9223372036854775808\r\n"
            + "$3\r\na\r\n\r\n$3\r\n-12\r\n$-1\r\n*0\r\n*-1\r\n$3\r\nxyz\r\n";
        Assert.Equal(expected, System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    [Theory]
    [InlineData("0", true, 0)]
    [InlineData("-1", true, -1)]
    [InlineData("9223372036854775807", true, long.MaxValue)]
    [InlineData("-9223372036854775808", true, long.MinValue)]
    [InlineData("9223372036854775808", false, 0)]
    [InlineData("-9223372036854775809", false, 0)]
    [InlineData("99999999999999999999", false, 0)]
    [InlineData("", false, 0)]
    [InlineData("-", false, 0)]
    [InlineData("-0", false, 0)]
    [InlineData("00", false, 0)]
    [InlineData("+1", false, 0)]
    [InlineData(" 1", false, 0)]
    [InlineData("1 ", false, 0)]
    public void TryParse_OfNumbers_IsAsStrictAsRedis(string text, bool expected, long value)
    {
        Assert.Equal(expected, RespNumber.TryParse(RespFeed.Latin1(text), out long found));
        Assert.Equal(value, found);
    }

    private static string Commands(RespFeed feed, byte[][] chunks)
    {
        foreach (byte[] chunk in chunks) feed.Append(chunk);
        Assert.Null(feed.ErrorReply);
        return string.Join('\n', feed.Commands.Select(command => string.Join('|', command)));
    }
}
