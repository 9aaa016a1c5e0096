using System.Globalization;
using System.Text;

namespace KvTier.Silo.Tests.Resp;

/// <summary>Redis is the judge: the same bytes to both, the same bytes back.</summary>
[Collection("resp")]
public sealed class RespDifferentialTests(RespFixture fixture)
{
    /// <summary>How far two times to live may differ, as the two servers answer one after the other, in ms.</summary>
    private const long TtlToleranceMs = 5000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void Replies_ToRandomCommands_EqualThoseOfRedis(int seed) => Compare(fixture.RedisPort, fixture.SiloPort, seed, 3000);

    /// <summary>Sends the same random commands to both and compares the replies.</summary>
    internal static void Compare(int redisPort, int siloPort, int seed, int commands)
    {
        using var redis = new RespClient(redisPort);
        using var silo = new RespClient(siloPort);
        Assert.Equal(redis.Call("FLUSHALL"), silo.Call("FLUSHALL"));
        var generator = new RespCommandGenerator(seed);
        int different = 0;
        for (int i = 0; i < commands; i++)
        {
            byte[][] command = generator.Next();
            byte[] bytes = RespClient.Encode(command);
            redis.Send(bytes);
            silo.Send(bytes);
            byte[] expected = redis.ReadReply();
            byte[] actual = silo.ReadReply();
            if (!IsSame(command, expected, actual))
                Assert.Fail($"seed {seed}, command {i}: {Show(bytes)}\nRedis {Show(expected)}\nsilo  {Show(actual)}");
            different += expected.AsSpan().StartsWith("-"u8) ? 0 : 1;
            if (i % 100 == 99) CompareKeys(redis, silo);
        }

        Assert.True(different > commands / 3, $"only {different} commands of {commands} succeeded: the generator tests little");
    }

    /// <summary>The same commands in one stream, cut at random: parsing and batching must not show in the replies.</summary>
    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    public void Replies_ToPipelinedCommandsCutAnywhere_EqualThoseOfRedis(int seed) =>
        CompareCut(fixture.RedisPort, fixture.SiloPort, seed);

    /// <summary>Sends the same commands to both, to the silo cut at random.</summary>
    internal static void CompareCut(int redisPort, int siloPort, int seed)
    {
        using var redis = new RespClient(redisPort);
        using var silo = new RespClient(siloPort);
        Assert.Equal(redis.Call("FLUSHALL"), silo.Call("FLUSHALL"));
        var generator = new RespCommandGenerator(seed);
        var random = new Random(seed);
        for (int round = 0; round < 40; round++)
        {
            List<byte[][]> commands = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => generator.Next())];
            byte[] stream = [.. commands.SelectMany(command => RespClient.Encode(command))];
            redis.Send(stream);
            for (int at = 0; at < stream.Length;)
            {
                int length = Math.Min(random.Next(3) == 0 ? random.Next(1, 20) : random.Next(1, 70_000), stream.Length - at);
                silo.Send(stream.AsSpan(at, length));
                at += length;
            }

            foreach (byte[][] command in commands)
            {
                byte[] expected = redis.ReadReply();
                byte[] actual = silo.ReadReply();
                if (!IsSame(command, expected, actual))
                    Assert.Fail($"seed {seed}: {Show(RespClient.Encode(command))}\nRedis {Show(expected)}\nsilo  {Show(actual)}");
            }
        }
    }

    private static bool IsSame(byte[][] command, byte[] expected, byte[] actual)
    {
        if (expected.AsSpan().SequenceEqual(actual)) return true;
        string name = Encoding.Latin1.GetString(command[0]).ToUpperInvariant();
        if (DescribesServer(name, command)) return expected[0] == actual[0] && expected[0] != '-';
        if (name is not ("TTL" or "PTTL") || expected[0] != ':' || actual[0] != ':') return false;
        long a = Number(expected);
        long b = Number(actual);
        return a >= 0 && b >= 0 && Math.Abs(a - b) <= (name == "TTL" ? TtlToleranceMs / 1000 : TtlToleranceMs);
    }

    /// <summary>Commands whose successful reply is about the one server that gives it: only its kind can be the same. What they say is
    /// held by tests of their own.</summary>
    private static bool DescribesServer(string name, byte[][] command)
    {
        if (name is "INFO" or "HELLO" or "SCAN" or "RANDOMKEY" or "COMMAND") return true;
        string sub = command.Length > 1 ? Encoding.Latin1.GetString(command[1]).ToUpperInvariant() : "";
        return name == "CLIENT" && sub is "ID" or "LIST" or "INFO";
    }

    private static long Number(byte[] reply) => long.Parse(reply.AsSpan(1, reply.Length - 3), NumberStyles.AllowLeadingSign,
        CultureInfo.InvariantCulture);

    /// <summary>Whole walks see the same keys, with and without a pattern, and a random key is one of them.</summary>
    private static void CompareKeys(RespClient redis, RespClient silo)
    {
        SortedSet<string> expected = Walk(redis);
        Assert.Equal(expected, Walk(silo));
        Assert.Equal(Walk(redis, "MATCH", "*[a-m\\x]?*"), Walk(silo, "MATCH", "*[a-m\\x]?*"));
        Assert.Equal(Walk(redis, "TYPE", "hash"), Walk(silo, "TYPE", "hash"));
        Assert.Equal(expected, Walk(silo, "COUNT", "3", "TYPE", "STRING"));
        string key = silo.Call("RANDOMKEY");
        Assert.True(expected.Count == 0 ? key == "$-1\r\n" : expected.Contains(key), $"{Show(Encoding.Latin1.GetBytes(key))} is no key");
    }

    private static SortedSet<string> Walk(RespClient client, params string[] options)
    {
        var keys = new SortedSet<string>(StringComparer.Ordinal);
        string cursor = "0";
        do
        {
            string reply = client.Call(["SCAN", cursor, .. options]);
            Assert.StartsWith("*2\r\n$", reply, StringComparison.Ordinal);
            cursor = reply.Split("\r\n")[2];
            string rest = reply[(reply.IndexOf("\r\n*", StringComparison.Ordinal) + 3)..];
            rest = rest[(rest.IndexOf("\r\n", StringComparison.Ordinal) + 2)..];
            while (rest.Length > 0)
            {
                int head = rest.IndexOf("\r\n", StringComparison.Ordinal);
                int length = head + 4 + int.Parse(rest.AsSpan(1, head - 1), CultureInfo.InvariantCulture);
                keys.Add(rest[..length]);
                rest = rest[length..];
            }
        }
        while (cursor != "0");
        return keys;
    }

    // A log with control characters in it is no text to the tools that read it.
    private static string Show(ReadOnlySpan<byte> bytes)
    {
        var shown = new StringBuilder();
        foreach (byte each in bytes[..Math.Min(bytes.Length, 400)])
        {
            if (each is >= 0x20 and < 0x7f) shown.Append((char)each);
            else shown.Append(CultureInfo.InvariantCulture, $"\\x{each:x2}");
        }

        return $"{shown} ({bytes.Length} bytes)";
    }
}
