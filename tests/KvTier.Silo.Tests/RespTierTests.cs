using System.Globalization;
using KvTier.Silo.Tests.Resp;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

/// <summary>
/// Redis clients that race, and values that host memory can't hold: what one client reads must fit one order of all writes.
/// </summary>
public sealed class RespTierTests : SiloTest
{
    private const int Clients = 4;

    private SiloOptions Options => Small with
    {
        HostBytes = 1 << 20,
        DataDirectory = Path.Combine(Folder, "data"),
        SsdBytes = 128 << 20,
        Limits = new Limits { BlockBytesMax = 1 << 20 },
        Resp = new RespOptions { Enabled = true, Port = 0 },
    };

    [Fact]
    public async Task SetNx_ByManyClients_IsWonByOne()
    {
        SiloHost host = await StartAsync(Options);
        const int keys = 200;
        int[] winners = new int[keys];
        await AllAsync(host, (client, me) =>
        {
            for (int i = 0; i < keys; i++)
            {
                string reply = client.Call("SET", $"k{i}", $"{me}", "NX");
                if (reply == "+OK\r\n") Assert.Equal(0, Interlocked.CompareExchange(ref winners[i], me, 0));
                else Assert.Equal("$-1\r\n", reply);
            }
        });
        using var reader = new RespClient(host.Endpoints.Resp!.Port);
        for (int i = 0; i < keys; i++) Assert.Equal($"$1\r\n{winners[i]}\r\n", reader.Call("GET", $"k{i}"));
    }

    [Fact]
    public async Task MSet_IsSeenWholeByMGet()
    {
        SiloHost host = await StartAsync(Options with { HostBytes = 8 << 20 });
        using var first = new RespClient(host.Endpoints.Resp!.Port);
        Assert.Equal("+OK\r\n", first.Call("MSET", "a", Value(0, 0), "b", Value(0, 0), "c", Value(0, 0)));
        await AllAsync(host, (client, me) =>
        {
            for (int i = 0; i < 150; i++)
            {
                string value = Value(me, i);
                if (me % 2 == 0) Assert.Equal("+OK\r\n", client.Call("MSET", "a", value, "b", value, "c", value));
                else
                {
                    string reply = client.Call("MGET", "a", "b", "c");
                    string one = reply["*3\r\n".Length..][..((reply.Length - 4) / 3)];
                    Assert.True(reply == $"*3\r\n{one}{one}{one}", "an MSET was seen half done");
                }
            }
        });
    }

    [Fact]
    public async Task SetGet_ByManyClients_HandsEveryValueOnOnce_ThoughItLeavesHostMemory()
    {
        SiloHost host = await StartAsync(Options);
        const int rounds = 40;
        var seen = new System.Collections.Concurrent.ConcurrentBag<string>();
        await AllAsync(host, (client, me) =>
        {
            for (int i = 0; i < rounds; i++)
            {
                seen.Add(client.Call("SET", "k", Value(me, i), "GET"));

                // Pushes the key out of host memory.
                for (int j = 0; j < 5; j++) Assert.Equal("+OK\r\n", client.Call("SET", $"fill{me}.{j}", new string('x', 60_000)));
            }
        });
        using var reader = new RespClient(host.Endpoints.Resp!.Port);
        seen.Add(reader.Call("GET", "k"));
        IEnumerable<string> expected =
            from me in Enumerable.Range(1, Clients) from i in Enumerable.Range(0, rounds) select Bulk(Value(me, i));
        Assert.Equal(expected.Append("$-1\r\n").Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Values_BeyondHostMemory_AreReadOneByOneTogetherAndAfterARestart()
    {
        const int count = 60;
        string[] keys = [.. Enumerable.Range(0, count).Select(i => $"k{i}")];
        SiloHost host = await StartAsync(Options);
        using (var client = new RespClient(host.Endpoints.Resp!.Port))
        {
            for (int i = 0; i < count; i++) Assert.Equal("+OK\r\n", client.Call("SET", keys[i], Value(1, i)));
            Assert.Equal("+OK\r\n", client.Call("SELECT", "3"));
            Assert.Equal("+OK\r\n", client.Call("SET", "k0", "of three", "EX", "1000"));
            Assert.Equal("+OK\r\n", client.Call("SELECT", "0"));
            AssertAll(client, keys);
        }

        Assert.True(host.Engine.Stats.SsdHits > 0);
        await host.StopAsync();
        SiloHost again = await StartAsync(Options);
        using (var client = new RespClient(again.Endpoints.Resp!.Port))
        {
            AssertAll(client, keys);
            Assert.Equal("+OK\r\n", client.Call("SELECT", "3"));
            Assert.Equal("$8\r\nof three\r\n", client.Call("GET", "k0"));
            Assert.InRange(int.Parse(client.Call("TTL", "k0")[1..^2], CultureInfo.InvariantCulture), 900, 1000);
        }
    }

    [Fact]
    public async Task MGet_OfClientsThatDoNotRead_LeavesHostMemoryToOthers()
    {
        const int count = 16;
        string[] keys = [.. Enumerable.Range(0, count).Select(i => $"k{i}")];
        string[] values = [.. Enumerable.Range(0, count).Select(i => $"{i}.".PadRight(200_000, (char)('a' + i)))];
        SiloHost host = await StartAsync(Options);
        int port = host.Endpoints.Resp!.Port;
        using var client = new RespClient(port);
        for (int i = 0; i < count; i++) Assert.Equal("+OK\r\n", client.Call("SET", keys[i], values[i]));

        // Replies of some hundred MB: they stay unread, far beyond what sockets buffer.
        byte[] unread = RespClient.Encode(
            [.. Enumerable.Repeat(keys, 50).SelectMany(each => each).Prepend("MGET").Select(System.Text.Encoding.ASCII.GetBytes)]);
        var stuck = new List<RespClient>();
        try
        {
            for (int i = 0; i < 2; i++)
            {
                stuck.Add(new RespClient(port));
                stuck[i].Send(unread);
                await UntilAsync(() => host.Engine.Stats.LeasedSlots > i, "the MGET to hold something");
                for (int key = 0; key < count; key++) Assert.True(client.Call("GET", keys[key]) == Bulk(values[key]), keys[key]);
            }
        }
        finally
        {
            foreach (RespClient one in stuck) one.Dispose();
        }
    }

    private static void AssertAll(RespClient client, string[] keys)
    {
        for (int i = 0; i < keys.Length; i++) Assert.True(client.Call("GET", keys[i]) == Bulk(Value(1, i)), keys[i]);
        string together = client.Call(["MGET", .. keys]);
        Assert.True(together == $"*{keys.Length}\r\n" + string.Concat(keys.Select((_, i) => Bulk(Value(1, i)))), "MGET of all");
    }

    private static string Value(int writer, int number) => $"{writer}.{number}.".PadRight(40_000, (char)('a' + (number % 26)));

    private static string Bulk(string value) => $"${value.Length}\r\n{value}\r\n";

    private static async Task AllAsync(SiloHost host, Action<RespClient, int> act)
    {
        int port = host.Endpoints.Resp!.Port;
        await Task.WhenAll(Enumerable.Range(1, Clients).Select(me => Task.Factory.StartNew(
            () =>
            {
                using var client = new RespClient(port);
                act(client, me);
            },
            TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
    }
}
