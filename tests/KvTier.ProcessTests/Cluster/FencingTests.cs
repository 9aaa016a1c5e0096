using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

public sealed class FencingTests
{
    private static readonly NamespaceDescriptor tenant = new("test", Profiles.Opaque);

    [Fact]
    public async Task Sigstop_AnOwnerPastItsLeaseAndSigcont_ItServesNoStaleWrite()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 2);
        TestMember stopped = cluster.Members[1];
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks blocks = await ClusterBlocks.OpenAsync(client);
        await using KvTierClient direct = await stopped.ConnectAsync();
        KvNamespace old = (await direct.OpenNamespaceAsync(tenant, TestSilo.Cancel)).Value;
        long[] its = [.. Enumerable.Range(1, 300).Select(i => (long)i).Where(number => blocks.OwnerOf(number) == stopped.Name)];
        Assert.NotEmpty(its);

        stopped.Process.Freeze();
        // These lie in the old owner's socket when it wakes up: it must look at its lease before it looks at them.
        Task<Result<PutStatus>>[] late = [.. its.Take(50).Select(number => NumberedBlocks.PutAsync(old, number, AckLevel.Memory).AsTask())];
        await TestCluster.WaitForMemberAsync(cluster.Members[0], stopped.Name, isMember: false);
        foreach (long number in its.Skip(50)) Assert.Null(await blocks.PutAsync(number, AckLevel.Replica));
        stopped.Process.Thaw();
        Result<PutStatus>[] answers = await Task.WhenAll(late);
        await cluster.WaitUntilSettledAsync();

        // It may have become a member again before it looked at them; what it acknowledged then must be found by everybody.
        bool Acknowledged(int i) => answers[i].TryGet(out PutStatus status, out _) && status is PutStatus.Stored or PutStatus.Present;
        Assert.Empty(await blocks.MissingAsync([.. Enumerable.Range(0, late.Length).Where(Acknowledged).Select(i => its[i])]));
        Assert.Empty(await blocks.MissingAsync([.. its.Skip(50)]));
    }

    [Fact]
    public async Task Sigstop_AnOwnerOfAValuePastItsLeaseAndSigcont_ItNeitherReadsNorKeepsTheOldValue()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 1, null, "--resp-enabled", "--resp-port", "0");
        TestMember stopped = cluster.Members[1];
        await using KvClusterClient client = await cluster.ConnectAsync();
        NamespaceDescriptor values = new("resp", Profiles.Opaque with { Name = "opaque.0" });
        string key = Enumerable.Range(0, 100).Select(i => $"key-{i}").First(name =>
            client.Map!.Silos[client.Map.OwnerOf(BlockId.Compute(values.Id,
                System.Text.Encoding.ASCII.GetBytes(name)))].Name == stopped.Name);
        using var atOld = new RespCaller(stopped.Process.Endpoints["resp"]);
        using var atOther = new RespCaller(cluster.Members[0].Process.Endpoints["resp"]);
        Assert.Equal("+OK", await atOld.CallAsync($"SET {key} before"));
        Assert.Equal("before", await atOther.CallAsync($"GET {key}"));

        stopped.Process.Freeze();
        Task<string> late = atOld.CallAsync($"GET {key}");
        await TestCluster.WaitForMemberAsync(cluster.Members[0], stopped.Name, isMember: false);
        Assert.Equal("+OK", await atOther.CallAsync($"SET {key} after"));
        stopped.Process.Thaw();
        Assert.NotEqual("before", await late);
        await cluster.WaitUntilSettledAsync();
        Assert.Equal("after", await atOther.CallAsync($"GET {key}"));
        Assert.Equal("after", await atOld.CallAsync($"GET {key}"));
    }

    [Fact]
    public async Task EtcdStopped_ForThirtySecondsAndBack_DataPathIsUntouched()
    {
        await using LoadedCluster cluster = await LoadedCluster.StartAsync(replicas: 2, readers: 2);
        await cluster.Load.PassAsync(300);
        await cluster.Silos.Etcd.KillAsync();
        await Task.Delay(TimeSpan.FromSeconds(30), TestSilo.Cancel);
        await cluster.Load.PassAsync(500);
        string endpoint = cluster.Silos.Members[0].Endpoint;
        KvtierRun drain = await KvtierRun.Async("cluster", "drain", "silo-2", "-e", endpoint, "--deadline-s", "20");
        Assert.NotEqual(0, drain.ExitCode);
        Assert.Contains("Unavailable: etcd", drain.Error, StringComparison.Ordinal);
        // A call that was under way when the machine stood still says that it was late; the next one says why.
        await TestCluster.WaitAsync(async () =>
        {
            string status = (await KvtierRun.Async("cluster", "status", "-e", endpoint)).Out;
            return (status.Contains("problem: Unavailable: etcd", StringComparison.Ordinal), status);
        });
        await cluster.Silos.Etcd.RestartAsync();
        await cluster.Silos.WaitUntilSettledAsync();
        await cluster.Load.PassAsync(300);
        await cluster.AssertNothingWentWrongAsync();
    }
}
