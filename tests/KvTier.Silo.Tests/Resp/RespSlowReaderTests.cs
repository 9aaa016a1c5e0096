using System.Text;
using KvTier.Silo.Resp;

namespace KvTier.Silo.Tests.Resp;

/// <summary>Replies that do not fit into the socket at once must arrive whole.</summary>
[Collection("resp")]
public sealed class RespSlowReaderTests
{
    [Theory]
    [InlineData(10_000, 1000)]
    [InlineData(70_000, 200)]
    [InlineData(3, 1_000_000)]
    public async Task Replies_ToAClientThatReadsLate_ArriveWhole(int valueBytes, int gets)
    {
        await using RespSilo silo = await RespSilo.StartAsync(limits: new RespLimits { SocketBufferBytes = 32 << 10 });
        using var client = new RespClient(silo.Port);
        string value = string.Concat(Enumerable.Range(0, valueBytes / 3).Select(i => $"{i % 1000:000}"));
        Assert.Equal("+OK\r\n", client.Call("SET", "k", value));
        byte[] get = RespClient.Encode("GET"u8.ToArray(), "k"u8.ToArray());

        // Sent beside the reading: the silo stops taking commands while its replies are not read.
        Task sending = Task.Run(() => client.Send([.. Enumerable.Repeat(get, gets).SelectMany(bytes => bytes)]));
        byte[] expected = Encoding.ASCII.GetBytes($"${value.Length}\r\n{value}\r\n");
        await Task.WhenAny(sending, Task.Delay(100));
        for (int i = 0; i < gets; i++) Assert.True(expected.AsSpan().SequenceEqual(client.ReadReply()), $"reply {i}");
        await sending;
        Assert.Equal("+PONG\r\n", client.Call("PING"));
    }
}
