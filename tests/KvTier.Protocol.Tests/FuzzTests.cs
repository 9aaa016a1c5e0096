using System.Buffers.Binary;

namespace KvTier.Protocol.Tests;

public sealed class FuzzTests
{
    private const int Seed = 4711;

    public static TheoryData<string> Messages => [.. Recode.ByName.Keys];

    [Theory]
    [MemberData(nameof(Messages))]
    public void Decode_OfHostileBodies_NeverThrowsNorAllocatesByAnUncheckedLength(string message)
    {
        Recoder recode = Recode.ByName[message];
        byte[][] seeds = [.. GoldenFrame.All.Where(frame => Recode.Of(frame.Name) == recode).Select(frame => frame.Body)];
        using var first = new FrameBuffer(64 * 1024);
        using var second = new FrameBuffer(64 * 1024);
        Fuzz.Run(message, input => RecodeTwice(recode, input, first, second), seeds, rounds: 2000, Seed);
    }

    [Fact]
    public void Parse_OfHostileFrames_NeverThrowsAndNeverTrustsAWrongOne()
    {
        byte[][] seeds = [.. GoldenFrame.All.Select(frame => frame.HeaderAndBody.ToArray())];
        Fuzz.Run("frame", ParseFrame, seeds, rounds: 20_000, Seed);
    }

    [Fact]
    public void Skip_OfHostileMessagePack_NeverThrowsNorPassesTheEnd() =>
        Fuzz.Run("skip", SkipAll, [.. GoldenFrame.All.Select(frame => frame.Body)], rounds: 50_000, Seed);

    [Fact]
    public void Read_OfHostileResp_NeverThrowsNorPassesTheEnd()
    {
        byte[][] seeds = [
            [.. RespFeed.Encode("SET", "key", new string('v', 40)), .. "PING\r\n"u8, .. RespFeed.Encode("MGET", "a", "b", "")],
            RespFeed.Latin1("SET \"a\\x41\\n\" 'b c'\r\n*0\r\nGET a\n"),
        ];
        Fuzz.Run("resp", ReadResp, seeds, rounds: 30_000, Seed);
    }

    [Fact]
    public void Run_OfADecoderThatBelievesLengths_CatchesIt()
    {
        byte[] valid = [0, 0, 0, 2, 7, 8];
        Assert.Contains("allocated", Caught(Believer, valid), StringComparison.Ordinal);
        Assert.Contains("Exception", Caught(Careless, valid), StringComparison.Ordinal);
    }

    private static string Caught(Fuzz.Target canary, byte[] valid) =>
        Assert.Throws<FuzzException>(() => Fuzz.Run("canary", canary, [valid], rounds: 2000, Seed)).Message;

    /// <summary>Broken on purpose: makes an array by a length that it has not compared with what is there.</summary>
    private static void Believer(byte[] input)
    {
        if (input.Length < 4) return;
        byte[] value = new byte[BinaryPrimitives.ReadUInt32BigEndian(input) & 0xFF_FFFF];
        input.AsSpan(4, Math.Min(value.Length, input.Length - 4)).CopyTo(value);
    }

    /// <summary>Broken on purpose: slices by a length that it has not compared with what is there.</summary>
    private static void Careless(byte[] input)
    {
        if (input.Length >= 4) input.AsSpan(4, BinaryPrimitives.ReadInt32BigEndian(input)).Fill(0);
    }

    private static void RecodeTwice(Recoder recode, byte[] body, FrameBuffer first, FrameBuffer second)
    {
        first.Clear();
        second.Clear();
        foreach (long payloadLength in (ReadOnlySpan<long>)[0, 8, 11, 24, 32])
        {
            if (recode(body, payloadLength, first) is not null) continue;
            KvError? again = recode(first.WrittenSpan, payloadLength, second);
            if (again is not null) throw new FuzzException($"what was read is refused when written again: {again}");
            if (!first.WrittenSpan.SequenceEqual(second.WrittenSpan)) throw new FuzzException("read and written twice, it differs");
            return;
        }
    }

    private static void ParseFrame(byte[] input)
    {
        FrameStatus status = FrameHeader.TryParse(input, Limits.Default, out FrameHeader header);
        if (status != FrameStatus.Ok)
        {
            _ = FrameHeader.ErrorOf(status, input, Limits.Default);
            return;
        }

        byte[] bytes = new byte[FrameHeader.SizeBytes];
        header.Write(bytes);
        if (!input.AsSpan().StartsWith(bytes)) throw new FuzzException("a header that differs was trusted");
        int length = Math.Min(header.BodyLength, input.Length - FrameHeader.SizeBytes);
        _ = header.CheckBody(input.AsSpan(FrameHeader.SizeBytes, length));
    }

    private static void SkipAll(byte[] input)
    {
        var reader = new MessagePackReader(input);
        while (reader.IsOk && reader.Remaining > 0)
        {
            int before = reader.Consumed;
            reader.Skip();
            if (reader.IsOk && reader.Consumed <= before) throw new FuzzException("no step forward");
        }

        if (reader.Consumed > input.Length) throw new FuzzException("past the end");
        _ = MessagePackText.Read(input);
    }

    private static void ReadResp(byte[] input)
    {
        var reader = new RespReader { StreamBytesMin = 16 };
        Span<byte> left = input;
        RespStatus status;
        while ((status = reader.Read(left)) == RespStatus.Ok)
        {
            int consumed = reader.Consumed;
            if (consumed <= 0 || consumed > left.Length) throw new FuzzException($"consumed {consumed} of {left.Length}");
            foreach (RespArgument argument in reader.Arguments) _ = argument.In(left);
            left = left[reader.Consumed..];
        }

        if (status == RespStatus.BulkPending && reader.PendingOffset > left.Length) throw new FuzzException("pending past the end");
    }
}
