using System.Diagnostics;
using System.Net.Sockets;
using KvTier.Testing;

namespace KvTier.Protocol.Tests;

/// <summary>A real redis-server judges the reader: the same bytes must give the same reply.</summary>
public sealed class RespRedisTests : IDisposable
{
    private readonly TempDirectory folder = new();
    private readonly Process redis;
    private readonly string socketPath;

    public RespRedisTests()
    {
        socketPath = folder["redis.sock"];
        string[] arguments = ["--port", "0", "--unixsocket", socketPath, "--save", "", "--appendonly", "no", "--dir", folder.FullPath];
        try
        {
            var start = new ProcessStartInfo("redis-server", arguments) { UseShellExecute = false, RedirectStandardOutput = true };
            redis = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            throw new InvalidOperationException("these tests need redis-server (Debian: redis-server)", missing);
        }

        // The line that says so comes after the socket is open; the stream ends if the server does.
        while (redis.StandardOutput.ReadLine() is { } line && !line.Contains("ready to accept", StringComparison.OrdinalIgnoreCase))
        {
        }
    }

    public void Dispose()
    {
        redis.Kill();
        redis.WaitForExit();
        redis.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void Read_OfMalformedInput_AnswersAsRedisDoes()
    {
        foreach ((string input, _) in RespReaderTests.Errors.Select(row => row.Data))
        {
            var feed = new RespFeed();
            feed.Append(RespFeed.Latin1(input));
            Assert.Equal(AskRedis(input), feed.ErrorReply);
        }
    }

    [Fact]
    public void Read_OfRandomInlineEchoes_SplitsAsRedisDoes()
    {
        const string alphabet = "ab \\\"'xn4A\t\x0b\x80\xff";
        var random = new Random(20);
        for (int round = 0; round < 400; round++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => alphabet[random.Next(alphabet.Length)]));
            string input = $"ECHO {text}\r\n";
            var feed = new RespFeed();
            feed.Append(RespFeed.Latin1(input));
            string ours = feed.ErrorReply ?? Echo(feed.Commands.Single());
            Assert.True(ours == AskRedis(input), $"{input}: {ours} and not {AskRedis(input)}");
        }
    }

    private static string Echo(string[] arguments)
    {
        if (arguments[0] != "ECHO") return "another command";
        return arguments.Length == 2
            ? $"${arguments[1].Length}\r\n{arguments[1]}\r\n"
            : "-ERR wrong number of arguments for 'echo' command\r\n";
    }

    /// <summary>Sends bytes and reads the first reply, on a connection of its own.</summary>
    private string AskRedis(string input)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 60_000 };
        socket.Connect(new UnixDomainSocketEndPoint(socketPath));
        socket.Send(RespFeed.Latin1(input));
        byte[] reply = new byte[4096];
        int length = socket.Receive(reply);
        return RespFeed.Latin1(reply.AsSpan(0, length));
    }
}
