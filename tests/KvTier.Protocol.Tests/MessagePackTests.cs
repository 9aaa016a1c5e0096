using FsCheck;
using FsCheck.Fluent;

namespace KvTier.Protocol.Tests;

public sealed class MessagePackTests
{
    private static readonly string peer = Path.Combine(Repository.GoldenPath, "messagepack_peer.py");

    [Fact]
    public void Read_OfValuesMadeByPython_GivesTheSameValues()
    {
        string[] lines = Repository.RunPython(peer, "", "generate", "400", "7").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(402, lines.Length);
        foreach (string line in lines)
        {
            string[] parts = line.Split(' ');
            byte[] bytes = Convert.FromHexString(parts[0]);
            Assert.Equal(parts[1], MessagePackText.Read(bytes));
            var reader = new MessagePackReader(bytes);
            reader.Skip();
            Assert.True(reader.End);
        }
    }

    [Fact]
    public void Write_OfRandomValues_IsReadByPythonAsTheSameValues()
    {
        var random = new Random(11);
        var values = new List<byte[]>();
        for (int i = 0; i < 500; i++)
        {
            using var buffer = new FrameBuffer(1);
            WriteRandom(new MessagePackWriter(buffer), random, depth: 3);
            values.Add(buffer.WrittenSpan.ToArray());
        }

        string answer = Repository.RunPython(peer, string.Join('\n', values.Select(Convert.ToHexString)), "describe");
        Assert.Equal(values.Select(value => MessagePackText.Read(value)), answer.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.DoesNotContain("malformed", answer, StringComparison.Ordinal);
    }

    [Fact]
    public void Integers_WrittenAndRead_ComeBackInEveryTypeTheyFit()
    {
        Prop.ForAll<long>(value => Integer(value)).QuickCheckThrowOnFailure();
        for (int shift = 0; shift < 64; shift++)
        {
            foreach (int delta in new[] { -1, 0, 1 })
            {
                Assert.True(Integer((1L << shift) + delta));
                Assert.True(Integer(-(1L << shift) + delta));
            }
        }
    }

    [Fact]
    public void Text_WrittenAndRead_ComesBack() =>
        Prop.ForAll<NonNull<string>>(text =>
        {
            using var buffer = new FrameBuffer();
            new MessagePackWriter(buffer).Write(text.Get);
            var reader = new MessagePackReader(buffer.WrittenSpan);
            string expected = System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text.Get));
            return reader.ReadString() == expected && reader.End;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Read_AfterAFailure_GivesDefaultsForGood()
    {
        var reader = new MessagePackReader([0x01, 0xA1, 0x61, 0xC3]);
        Assert.Equal("", reader.ReadString());
        Assert.False(reader.IsOk);
        Assert.Equal((0, 0L, false), (reader.ReadInt32(), reader.ReadInt64(), reader.ReadBoolean()));
        Assert.Equal((0, 0), (reader.ReadArrayHeader(), reader.Consumed));
        Assert.Equal(MessagePackType.Unknown, reader.NextMessagePackType);
        Assert.False(reader.TryReadNil());
        Assert.False(reader.End);
    }

    [Theory]
    [InlineData("c6ffffffff00")]
    [InlineData("dbffffffff00")]
    [InlineData("ddffffffff00")]
    [InlineData("dfffffffff00")]
    [InlineData("dd0000000200")]
    [InlineData("df0000000100")]
    [InlineData("c9ffffffff0000")]
    [InlineData("c1")]
    [InlineData("cb00000000000000")]
    public void Skip_OfMoreThanIsThere_FailsWithoutAllocating(string hex)
    {
        byte[] bytes = Convert.FromHexString(hex);
        bool isOk = true;
        Assert.Equal(0, Allocated.Least(() =>
        {
            var reader = new MessagePackReader(bytes);
            reader.Skip();
            isOk = reader.IsOk;
        }));
        Assert.False(isOk);
    }

    [Theory]
    [InlineData(MessagePackReader.DepthMax, true)]
    [InlineData(MessagePackReader.DepthMax + 1, false)]
    public void Skip_OfDeepNesting_StopsAtTheLimit(int depth, bool expected)
    {
        byte[] nested = [.. Enumerable.Repeat((byte)0x91, depth), 0xC0];
        var reader = new MessagePackReader(nested);
        reader.Skip();
        Assert.Equal(expected, reader.End);
    }

    [Theory]
    [InlineData("ff", "not negative")]
    [InlineData("cf8000000000000000", "above Int64")]
    [InlineData("ce80000000", "above Int32")]
    [InlineData("a1ff", "no UTF-8")]
    [InlineData("cb3ff0000000000000", "no Single")]
    public void Read_OfAValueThatDoesNotFit_Fails(string hex, string why)
    {
        var reader = new MessagePackReader(Convert.FromHexString(hex));
        _ = why switch
        {
            "not negative" => reader.ReadUInt64(),
            "above Int64" => (ulong)reader.ReadInt64(),
            "above Int32" => (ulong)reader.ReadInt32(),
            "no UTF-8" => (ulong)reader.ReadString().Length,
            _ => (ulong)reader.ReadSingle(),
        };
        Assert.False(reader.IsOk, why);
    }

    private static bool Integer(long value)
    {
        using var buffer = new FrameBuffer(1);
        new MessagePackWriter(buffer).Write(value);
        var signed = new MessagePackReader(buffer.WrittenSpan);
        var unsigned = new MessagePackReader(buffer.WrittenSpan);
        var narrow = new MessagePackReader(buffer.WrittenSpan);
        bool asSigned = signed.ReadInt64() == value && signed.End;
        bool asUnsigned = value < 0 ? unsigned.ReadUInt64() == 0 && !unsigned.IsOk : unsigned.ReadUInt64() == (ulong)value && unsigned.End;
        bool isNarrow = value is >= int.MinValue and <= int.MaxValue;
        bool asNarrow = narrow.ReadInt32() == (isNarrow ? value : 0) && narrow.IsOk == isNarrow;
        return asSigned && asUnsigned && asNarrow;
    }

    private static int Size(Random random, int[] small, int[] large) => random.GetItems(random.Next(20) == 0 ? large : small, 1)[0];

    private static void WriteRandom(MessagePackWriter writer, Random random, int depth)
    {
        switch (random.Next(depth > 0 ? 10 : 8))
        {
            case 0: writer.WriteNil(); break;
            case 1: writer.Write(random.Next(2) == 0); break;
            case 2: writer.Write(random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64)); break;
            case 3: writer.Write(ulong.MaxValue >> random.Next(64)); break;
            case 4: writer.Write(random.NextDouble() * Math.Pow(2, random.Next(-100, 100))); break;
            case 5: writer.Write((float)random.NextDouble()); break;
            case 6: writer.Write(new string('ü', Size(random, [0, 1, 15, 16], [127, 128, 32767, 32768]))); break;
            case 7: writer.Write(new byte[Size(random, [0, 1, 40], [255, 256, 65535, 65536])]); break;
            case 8:
                int count = Size(random, [0, 1, 3], [15, 16, 40]);
                writer.WriteArrayHeader(count);
                for (int i = 0; i < count; i++) WriteRandom(writer, random, depth - 1);
                break;
            default:
                int pairs = Size(random, [0, 1, 3], [15, 16]);
                writer.WriteMapHeader(pairs);
                for (int i = 0; i < pairs; i++)
                {
                    writer.Write(i);
                    WriteRandom(writer, random, depth - 1);
                }

                break;
        }
    }
}
