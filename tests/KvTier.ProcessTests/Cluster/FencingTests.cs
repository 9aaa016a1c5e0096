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
        foreach (Result<PutStatus> answer in await Task.WhenAll(late))
            Assert.True(answer.Error is { Code: ErrorCode.Moved or ErrorCode.Fenced or ErrorCode.DeadlineExceeded or ErrorCode.Unavailable },
                $"the old owner answered {answer}");
        await cluster.WaitUntilSettledAsync();
        Assert.Empty(await blocks.MissingAsync([.. its.Skip(50)]));
    }

    [Fact]
    public async Task EtcdStopped_ForThirtySecondsAndBack_DataPathIsUntouched()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 2);
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks blocks = await ClusterBlocks.OpenAsync(client);
        await using var load = new SteadyLoad(blocks, AckLevel.Replica, writers: 2, readers: 2);
        await load.PassAsync(300);
        await cluster.Etcd.KillAsync();
        await Task.Delay(TimeSpan.FromSeconds(30), TestSilo.Cancel);
        long before = load.Done;
        await load.PassAsync(500);
        Assert.True(load.Done > before);
        await using KvTierClient one = await cluster.Members[0].ConnectAsync();
        Result<string> move = await one.ClusterAdminAsync("drain", [cluster.Members[2].Name], TimeSpan.FromSeconds(3), TestSilo.Cancel);
        Assert.True(move.Error is not null, "a change of the map can't be made without etcd");
        await cluster.Etcd.RestartAsync();
        await cluster.WaitUntilSettledAsync();
        await load.PassAsync(300);
        await load.StopAsync();
        Assert.Empty(load.Failures);
        Assert.Empty(load.Missed);
        Assert.Equal(0, load.Wrong);
        Assert.Empty(await blocks.MissingAsync(load.Acknowledged));
    }
}
