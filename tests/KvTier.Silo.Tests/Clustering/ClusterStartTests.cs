using System.Diagnostics;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Clustering;

/// <summary>What a start in a cluster is refused for, with what to do.</summary>
public sealed class ClusterStartTests : ClusterTest
{
    [Fact]
    public async Task Start_UnderANameThatIsTaken_IsRefusedNamingIt()
    {
        SiloHost first = await StartAsync(Options("a"));
        KvError error = await RefusedAsync(WithShortLease(Options("a")));
        Assert.Equal(ErrorCode.Conflict, error.Code);
        Assert.Contains("a", error.Message, StringComparison.Ordinal);
        Assert.Equal(SiloState.Ready, first.State);
    }

    [Fact]
    public async Task Start_WithACopyOfADataDirectory_IsRefusedNamingItsOwner()
    {
        await StartAsync(WithData("a", "data"));
        CopyIdentity("data", "copy");
        KvError error = await RefusedAsync(WithShortLease(WithData("b", "copy")));
        Assert.Equal(ErrorCode.Conflict, error.Code);
        Assert.Contains("dataDirectory", error.Field, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_WithAnotherClusterName_IsRefusedNamingTheOne()
    {
        await StartAsync(Options("a"));
        KvError error = await RefusedAsync(Options("b") with { Cluster = Options("b").Cluster with { Name = "other" } });
        Assert.Contains("kvtier", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_WithoutThePasswordOfEtcd_IsRefusedSayingWhatToSet()
    {
        await Etcd.RequirePasswordAsync("secret");
        KvError error = await RefusedAsync(Options("a"));
        Assert.Equal(ErrorCode.Unauthorized, error.Code);
        Assert.Contains("cluster.etcdUser", error.Message, StringComparison.Ordinal);
        SiloClusterSettings right = Options("a").Cluster with { EtcdUser = "root", EtcdPassword = "secret" };
        Assert.Equal(SiloState.Ready, (await StartAsync(Options("a") with { Cluster = right })).State);
    }

    [Fact]
    public async Task Start_WithEtcdAway_TriesUntilTheDeadlineAndSaysWhatToDo()
    {
        await Etcd.KillAsync();
        var watch = Stopwatch.StartNew();
        SiloOptions options = Options("a");
        KvError error = await RefusedAsync(options with { Cluster = options.Cluster with { JoinDeadlineMs = 1500 } });
        Assert.InRange(watch.ElapsedMilliseconds, 1400, 60_000);
        Assert.Contains("an etcd that answers at", error.Message, StringComparison.Ordinal);
        await Etcd.RestartAsync();
        Assert.Equal(SiloState.Ready, (await StartAsync(Options("a"))).State);
    }

    [Fact]
    public async Task Readyz_SaysJoiningUntilTheSiloIsAMember()
    {
        await Etcd.KillAsync();
        SiloOptions options = Options("a") with { Http = new HttpOptions { Port = TestPorts.Reserve() } };
        Task<Result<SiloHost>> starting = SiloHost.StartAsync(options);
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{options.Http.Port}") };
        string text = "";
        while (text != "joining\n" && !starting.IsCompleted)
        {
            try
            {
                text = await (await http.GetAsync("/readyz")).Content.ReadAsStringAsync();
            }
            catch (HttpRequestException)
            {
                await Task.Delay(10);
            }
        }

        Assert.Equal("joining\n", text);
        await Etcd.RestartAsync();
        await using SiloHost host = (await starting).Value;
        Assert.Equal("ready\n", await http.GetStringAsync("/readyz"));
    }

    private static async Task<KvError> RefusedAsync(SiloOptions options)
    {
        Result<SiloHost> result = await SiloHost.StartAsync(options);
        if (result.IsOk) await result.Value.DisposeAsync();
        Assert.False(result.IsOk, "the start was not refused");
        return result.Error!;
    }

    /// <summary>A name counts as taken after two leases of the silo that asks for it.</summary>
    private static SiloOptions WithShortLease(SiloOptions options) => options with { Cluster = options.Cluster with { LeaseMs = 3000 } };

    private SiloOptions WithData(string name, string folder) =>
        Options(name) with { DataDirectory = Folder(folder), SsdBytes = 256 << 20 };

    private void CopyIdentity(string from, string to)
    {
        Directory.CreateDirectory(Folder(to));
        File.Copy(Path.Combine(Folder(from), "identity"), Path.Combine(Folder(to), "identity"));
    }
}
