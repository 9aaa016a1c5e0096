using System.Text;

namespace KvTier.Silo.Tests.Resp;

[Collection("resp")]
public sealed class RespSmokeTests(RespFixture fixture)
{
    [Fact]
    public void Get_AfterSetOfEverySize_ReturnsTheSameBytes()
    {
        using var client = new RespClient(fixture.SiloPort);
        Assert.Equal("+PONG\r\n", client.Call("PING"));
        var random = new Random(7);
        foreach (int size in (int[])[0, 1, 512, 16_383, 16_384, 16_385, 40_000, 65_500, 65_536, 200_000, 1 << 20, 5_000_001])
        {
            byte[] value = new byte[size];
            random.NextBytes(value);
            byte[] key = Encoding.ASCII.GetBytes($"smoke{size}");
            client.Send(RespClient.Encode([.. new[] { "SET"u8.ToArray(), key, value }]));
            Assert.Equal("+OK\r\n"u8.ToArray(), client.ReadReply());
            client.Send(RespClient.Encode([.. new[] { "GET"u8.ToArray(), key }]));
            byte[] reply = client.ReadReply();
            Assert.Equal(Encoding.ASCII.GetBytes($"${size}\r\n"), reply[..^(size + 2)]);
            Assert.True(reply.AsSpan(reply.Length - size - 2, size).SequenceEqual(value), $"value of {size} bytes differs");
        }

        Assert.Equal("+OK\r\n", client.Call("FLUSHALL"));
    }
}
