using System.Text;
using KvTier.Silo.Resp;

namespace KvTier.Silo.Tests.Resp;

/// <summary>What is above a limit is refused by name, and harms nobody.</summary>
[Collection("resp")]
public sealed class RespLimitTests
{
    private static readonly RespLimits small = new()
    {
        ConnectionsMax = 2,
        ValueBytesMax = 100_000,
        ArgumentBytesMax = 200_000,
        QueryBytesMax = 400_000,
        RoomMs = 200,
    };

    // Only where nothing that must arrive takes more than one send: this thread may have to wait between two of them.
    private static readonly RespLimits impatient = small with { StallMs = 500 };

    [Fact]
    public async Task Set_OfAValueAboveTheLimit_IsRefusedByNameAndTheConnectionGoesOn()
    {
        await using RespSilo silo = await RespSilo.StartAsync(limits: small);
        using var client = new RespClient(silo.Port);
        Assert.Equal("-ERR LimitExceeded: value bytes is 100001; allowed: 100000\r\n", client.Call("SET", "k", new string('x', 100_001)));
        Assert.Equal("-ERR LimitExceeded: value bytes is 3000000; allowed: 100000\r\n", client.Call("MSET", "a", "b", "k",
            new string('x', 3_000_000)));
        Assert.Equal("$-1\r\n", client.Call("GET", "a"));
        Assert.Equal("+OK\r\n", client.Call("SET", "k", new string('x', 100_000)));
        Assert.Equal(":100000\r\n", client.Call("STRLEN", "k"));
    }

    [Fact]
    public async Task Key_AboveTheLimit_IsRefusedWhenStoredAndMissingWhenRead()
    {
        await using RespSilo silo = await RespSilo.StartAsync(limits: small);
        using var client = new RespClient(silo.Port);
        string key = new('k', 513);
        foreach (int size in (int[])[1, 50_000])
            Assert.Equal("-ERR LimitExceeded: key bytes is 513; allowed: 512\r\n", client.Call("SET", key, new string('v', size)));
        Assert.Equal("$-1\r\n", client.Call("GET", key));
        Assert.Equal(":0\r\n", client.Call("DEL", key));
        Assert.Equal("+OK\r\n", client.Call("SET", key[..512], "v"));
        Assert.Equal("$1\r\nv\r\n", client.Call("GET", key[..512]));
    }

    [Fact]
    public async Task Argument_TooLongToKeep_IsDroppedAndNamed()
    {
        await using RespSilo silo = await RespSilo.StartAsync(limits: small);
        using var client = new RespClient(silo.Port);
        Assert.Equal("+OK\r\n", client.Call("SET", "", "empty"));
        Assert.Equal("-ERR LimitExceeded: argument bytes is 300000; allowed: 200000\r\n", client.Call("GET", new string('x', 300_000)));
        Assert.Equal("-ERR LimitExceeded: argument bytes is 300000; allowed: 200000\r\n", client.Call("ECHO", new string('x', 300_000)));
        Assert.Equal("$5\r\nempty\r\n", client.Call("GET", ""));
    }

    [Fact]
    public async Task Command_LongerThanTheBuffer_IsRefusedByName()
    {
        await using RespSilo silo = await RespSilo.StartAsync(limits: small);
        using var client = new RespClient(silo.Port);
        string reply = client.Call([.. Enumerable.Repeat(new string('x', 150_000), 6).Prepend("MGET")]);
        Assert.StartsWith("-ERR LimitExceeded: command bytes is ", reply, StringComparison.Ordinal);
        Assert.Empty(client.ReadReply());
    }

    [Fact]
    public async Task Connection_AboveTheLimit_IsToldSoAsByRedis()
    {
        await using RespSilo silo = await RespSilo.StartAsync(limits: small);
        using var first = new RespClient(silo.Port);
        using var second = new RespClient(silo.Port);
        Assert.Equal("+PONG\r\n", first.Call("PING"));
        Assert.Equal("+PONG\r\n", second.Call("PING"));
        using var third = new RespClient(silo.Port);
        Assert.Equal("-ERR max number of clients reached\r\n"u8.ToArray(), third.ReadToEnd());
    }

    [Fact]
    public async Task Client_ThatStopsInsideAValue_IsClosedAndItsSlotComesBack()
    {
        await using RespSilo silo = await RespSilo.StartAsync(limits: impatient);
        using var client = new RespClient(silo.Port);
        client.Send(Encoding.ASCII.GetBytes($"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$50000\r\n{new string('x', 40_000)}"));
        Assert.Empty(client.ReadToEnd());
        using var other = new RespClient(silo.Port);
        Assert.Equal("$-1\r\n", other.Call("GET", "k"));
    }

    [Fact]
    public async Task Client_ThatDoesNotRead_IsClosedAndItsLeaseComesBack()
    {
        await using RespSilo silo = await RespSilo.StartAsync(limits: impatient with { SocketBufferBytes = 64 << 10 });
        using var client = new RespClient(silo.Port);
        Assert.Equal("+OK\r\n", client.Call("SET", "k", new string('x', 40_000)));

        // Replies of 80 MB: far more than sockets buffer.
        byte[] get = RespClient.Encode([.. new[] { "GET"u8.ToArray(), "k"u8.ToArray() }]);
        client.Send([.. Enumerable.Repeat(get, 2000).SelectMany(bytes => bytes)]);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (silo.Listener.Connections > 0 || silo.Engine.Stats.LeasedSlots > 0) await Task.Delay(20, deadline.Token);
    }

    [Fact]
    public async Task Set_WhenNothingCanGoAndNoRoomIsLeft_IsAnsweredOutOfMemory()
    {
        await using RespSilo silo = await RespSilo.StartAsync(arenaMiB: 8, limits: small with { ValueBytesMax = 64 << 20 });
        using var client = new RespClient(silo.Port);
        Assert.Equal("-OOM command not allowed when used memory > 'maxmemory'.\r\n", client.Call("SET", "k", new string('x', 9 << 20)));
        Assert.Equal("+PONG\r\n", client.Call("PING"));
    }
}
