using KvTier.Silo.Tests.Resp;

namespace KvTier.Silo.Tests.Clustering;

/// <summary>Redis clients while silos come and go, with passwords, and when nobody may write.</summary>
public sealed class RespClusterChangeTests : ClusterTest
{
    [Fact]
    public async Task Join_OfASilo_BringsEachValueAlong()
    {
        SiloHost[] silos = await StartClusterAsync(2, change: Resp);
        using var client = new RespClient(PortOf(silos[0]));
        string[] keys = [.. Enumerable.Range(0, 200).Select(i => $"k{i}")];
        foreach (string key in keys) Assert.Equal("+OK\r\n", client.Call("SET", key, key));
        SiloHost third = await StartAsync(Resp(Options("c")));
        using var late = new RespClient(PortOf(third));

        // Half of them changed and deleted while values are on their way: no older one may come back.
        foreach (string key in keys[..50]) Assert.Equal("+OK\r\n", Eventually(late, "SET", key, "new"));
        foreach (string key in keys[50..100]) Assert.Equal(":1\r\n", Eventually(late, "DEL", key));
        await SettledAsync([.. silos, third]);
        foreach (string key in keys[..50]) Assert.Equal("$3\r\nnew\r\n", client.Call("GET", key));
        foreach (string key in keys[50..100]) Assert.Equal("$-1\r\n", client.Call("GET", key));
        foreach (string key in keys[100..]) Assert.Equal($"${key.Length}\r\n{key}\r\n", client.Call("GET", key));
        Assert.Equal(":150\r\n", client.Call("DBSIZE"));
    }

    [Fact]
    public async Task Commands_WithAPassword_ReachOtherSilosAndNobodyWithoutIt()
    {
        SiloHost[] silos = await StartClusterAsync(2, change: options =>
            Resp(options) with { Resp = new RespOptions { Enabled = true, Port = 0, Password = "secret" } });
        using var client = new RespClient(PortOf(silos[0]));
        Assert.StartsWith("-NOAUTH", client.Call("SET", "a", "1"), StringComparison.Ordinal);
        Assert.StartsWith("-", client.Call("KVTIER.FORWARDED", "1", "0"), StringComparison.Ordinal);
        Assert.Equal("+OK\r\n", client.Call("AUTH", "secret"));
        for (int i = 0; i < 20; i++) Assert.Equal("+OK\r\n", client.Call("SET", $"k{i}", "1"));
        Assert.Equal(":20\r\n", client.Call("DBSIZE"));
    }

    [Fact]
    public async Task Commands_OfALostOwner_SayTryAgainUntilAnotherOwnsTheKey()
    {
        SiloHost[] silos = await StartClusterAsync(2, change: Resp);
        using var client = new RespClient(PortOf(silos[0]));
        string[] keys = [.. Enumerable.Range(0, 40).Select(i => $"k{i}")];
        foreach (string key in keys) Assert.Equal("+OK\r\n", client.Call("SET", key, key));
        await silos[1].StopAsync();
        foreach (string key in keys) Assert.Equal("+OK\r\n", Eventually(client, "SET", key, "again"));
        Assert.Equal(":40\r\n", Eventually(client, "DBSIZE"));
    }

    [Fact]
    public async Task Mark_OfAKeyOfAnother_IsNotPassedOn()
    {
        SiloHost[] silos = await StartClusterAsync(2, change: Resp);
        using var client = new RespClient(PortOf(silos[0]));
        string epoch = silos[0].ClusterStatus!.Epoch.ToString(System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal($"+{epoch}\r\n", client.Call("KVTIER.FORWARDED", epoch, "0"));
        string[] replies = [.. Enumerable.Range(0, 40).Select(i => client.Call("SET", $"k{i}", "1"))];
        Assert.Contains("+OK\r\n", replies);
        Assert.Contains($"-KVMOVED {epoch}\r\n", replies);
        Assert.Equal(0, silos[0].ClusterStatus!.Counters["forwardedCommands"]);
    }

    /// <summary>Tries again as clients are told to.</summary>
    private static string Eventually(RespClient client, params string[] command)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        while (true)
        {
            string reply = client.Call(command);
            if (!reply.StartsWith("-TRYAGAIN", StringComparison.Ordinal) && !reply.StartsWith("-CLUSTERDOWN", StringComparison.Ordinal))
                return reply;
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60), reply);
            Thread.Sleep(20);
        }
    }

    private static int PortOf(SiloHost silo) => silo.Endpoints.Resp!.Port;

    private static SiloOptions Resp(SiloOptions options) =>
        options with { HostBytes = 64 << 20, Resp = new RespOptions { Enabled = true, Port = 0 } };
}
