using KvTier.Silo.Tests.Resp;

namespace KvTier.Silo.Tests.Clustering;

/// <summary>Redis clients that speak to any silo of a cluster. One redis-server is the judge.</summary>
public sealed class RespClusterTests : ClusterTest
{
    [Theory]
    [InlineData(21)]
    [InlineData(22)]
    public async Task Replies_OfAnySilo_EqualThoseOfOneRedis(int seed)
    {
        await using RedisServer redis = await RedisServer.StartAsync();
        SiloHost[] silos = await StartRespAsync();
        for (int i = 0; i < silos.Length; i++)
        {
            RespDifferentialTests.Compare(redis.Port, PortOf(silos[i]), (10 * seed) + i, 700);
            RespDifferentialTests.CompareCut(redis.Port, PortOf(silos[i]), (10 * seed) + i + 5);
        }
    }

    [Fact]
    public async Task Keys_SetAtOneSilo_AreReadAndCountedAtEachOther()
    {
        SiloHost[] silos = await StartRespAsync();
        using var first = new RespClient(PortOf(silos[0]));
        string[] keys = [.. Enumerable.Range(0, 60).Select(i => $"key:{i}")];
        string big = new('x', 300_000);
        foreach (string key in keys) Assert.Equal("+OK\r\n", first.Call("SET", key, key == "key:47" ? big : key));
        Assert.All(silos, silo => Assert.InRange(silo.Engine.Namespaces.Index().Where(ns => ns.Item.Name == "resp/opaque.0")
            .Sum(ns => silo.Engine.Count((ushort)ns.Index)), 1, 59));
        foreach (SiloHost silo in silos)
        {
            using var client = new RespClient(PortOf(silo));
            Assert.Equal(":60\r\n", client.Call("DBSIZE"));
            Assert.Equal($"${big.Length}\r\n{big}\r\n", client.Call("GET", "key:47"));
            Assert.Equal("*4\r\n$6\r\nkey:31\r\n$-1\r\n$6\r\nkey:32\r\n$6\r\nkey:33\r\n",
                client.Call("MGET", "key:31", "none", "key:32", "key:33"));
            Assert.Equal(":60\r\n", client.Call(["EXISTS", .. keys]));
            Assert.Equal("+OK\r\n", client.Call([.. keys.Take(30).SelectMany(key => new[] { key, "again" }).Prepend("MSET")]));
            Assert.Equal("$5\r\nagain\r\n", first.Call("GET", "key:29"));
        }

        using var last = new RespClient(PortOf(silos[2]));
        Assert.Equal(":60\r\n", last.Call(["DEL", .. keys]));
        Assert.Equal(":0\r\n", first.Call("DBSIZE"));
        Assert.True(silos.Sum(silo => silo.ClusterStatus!.Counters["forwardedCommands"]) > 0);
    }

    private static int PortOf(SiloHost silo) => silo.Endpoints.Resp!.Port;

    private Task<SiloHost[]> StartRespAsync() => StartClusterAsync(3, change: options => options with
    {
        HostBytes = 64 << 20,
        Resp = new RespOptions { Enabled = true, Port = 0 },
    });
}
