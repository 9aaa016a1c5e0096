namespace KvTier.Silo.Tests.Resp;

/// <summary>Passwords, as Redis asks for them.</summary>
[Collection("resp")]
public sealed class RespAuthTests
{
    private static readonly string[] script =
    [
        "GET a", "FOO a", "GET", "PING", "CLIENT ID x", "CLIENT junk", "AUTH", "AUTH wrong", "AUTH default wrong", "AUTH nobody secret",
        "AUTH a b c",
        "HELLO", "HELLO 2", "HELLO 2 SETNAME me", "HELLO 2 AUTH default wrong", "HELLO 4", "GET a", "AUTH secret", "GET a", "AUTH wrong",
        "GET a",
        "RESET", "GET a", "HELLO 2 AUTH default", "AUTH default secret", "SET a b", "GET a", "DEL a", "CLIENT GETNAME", "QUIT",
    ];

    [Fact]
    public async Task Commands_BeforeAndAfterThePassword_AreAnsweredAsByRedis()
    {
        await using RedisServer redis = await RedisServer.StartAsync("secret");
        await using RespSilo silo = await RespSilo.StartAsync(password: "secret");
        using var first = new RespClient(redis.Port);
        using var second = new RespClient(silo.Port);
        foreach (string line in script) Assert.Equal((line, first.Call(line.Split(' '))), (line, second.Call(line.Split(' '))));
        Assert.Empty(second.ReadReply());
    }

    [Theory]
    [InlineData("*11\r\n")]
    [InlineData("*2\r\n$16385\r\n")]
    public async Task LongCommand_BeforeThePassword_IsRefusedAsByRedis(string start)
    {
        await using RedisServer redis = await RedisServer.StartAsync("secret");
        await using RespSilo silo = await RespSilo.StartAsync(password: "secret");
        using var first = new RespClient(redis.Port);
        using var second = new RespClient(silo.Port);
        byte[] bytes = System.Text.Encoding.ASCII.GetBytes(start);
        first.Send(bytes);
        second.Send(bytes);
        Assert.Equal(first.ReadToEnd(), second.ReadToEnd());
    }

    [Fact]
    public async Task Hello_AfterThePassword_HasTheFieldsOfRedis()
    {
        await using RedisServer redis = await RedisServer.StartAsync("secret");
        await using RespSilo silo = await RespSilo.StartAsync(password: "secret");
        using var first = new RespClient(redis.Port);
        using var second = new RespClient(silo.Port);
        string[] expected = first.Call("HELLO", "2", "AUTH", "default", "secret", "SETNAME", "me").Split("\r\n");
        string[] actual = second.Call("HELLO", "2", "AUTH", "default", "secret", "SETNAME", "me").Split("\r\n");

        // Only the number of the connection is each server's own.
        int id = Array.FindIndex(expected, line => line == "id") + 1;
        expected[id] = actual[id] = ":";
        Assert.Equal(expected, actual);
        Assert.Equal("-NOPROTO unsupported protocol version\r\n", second.Call("HELLO", "3"));
        Assert.Equal("$2\r\nme\r\n", second.Call("CLIENT", "GETNAME"));
    }
}
