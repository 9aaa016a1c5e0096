using KvTier.Client;
using KvTier.Silo;

namespace KvTier.ProcessTests.Cluster;

/// <summary>An etcd that has lost all that it knew of the cluster.</summary>
public sealed class EtcdLossTests
{
    [Fact]
    public async Task EtcdWithoutItsData_IsNotFollowed_AndSilosGoOnWithTheirBlocksWhenTwoAreRestarted()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 2, null, "--cluster-lease-ms", "4000");
        long[] numbers = [.. Enumerable.Range(1, 200).Select(i => (long)i)];
        long epoch;
        await using (KvClusterClient client = await cluster.ConnectAsync())
        {
            ClusterBlocks blocks = await ClusterBlocks.OpenAsync(client);
            foreach (long number in numbers) Assert.Null(await blocks.PutAsync(number, AckLevel.Replica));
            epoch = (await TestCluster.StatusAsync(cluster.Members[2])).Epoch;
            await cluster.Etcd.LoseDataAsync();
            await TestCluster.WaitAsync(async () =>
            {
                ClusterStatus[] seen = await Task.WhenAll(cluster.Members.Select(TestCluster.StatusAsync));
                bool isRefused = seen.All(status => status.Problem?.Contains("restart all silos", StringComparison.Ordinal) == true);
                return (isRefused && seen.All(status => !status.MayWrite), string.Join(" | ", seen.Select(status => status.Problem)));
            });

            // What is there is served; nothing new is taken.
            Assert.Empty(await blocks.MissingAsync(numbers));
            await using KvTierClient direct = await cluster.Members[0].ConnectAsync();
            KvNamespace here = (await direct.OpenNamespaceAsync(new NamespaceDescriptor("test", Profiles.Opaque), TestSilo.Cancel)).Value;
            foreach (long number in numbers.Select(number => number + 1000))
            {
                Result<PutStatus> put = await NumberedBlocks.PutAsync(here, number, AckLevel.Memory);
                Assert.True(put.Error is { Code: ErrorCode.Fenced } || (put.IsOk && put.Value == PutStatus.Moved), $"{put.Error}");
            }
        }

        // Two are stopped and started; the third goes on above what it knows without that.
        foreach (TestMember member in cluster.Members.Take(2)) await member.Process.TerminateAsync();
        foreach (TestMember member in cluster.Members.Take(2)) await member.StartAsync();
        await cluster.WaitUntilSettledAsync();
        ClusterStatus[] after = await Task.WhenAll(cluster.Members.Select(TestCluster.StatusAsync));
        Assert.All(after, status => Assert.True(status.Epoch > epoch, $"epoch {status.Epoch} after {epoch}"));
        await using KvClusterClient again = await cluster.ConnectAsync();
        ClusterBlocks found = await ClusterBlocks.OpenAsync(again);
        Assert.Empty(await found.MissingAsync(numbers));
        Assert.Null(await found.PutAsync(5000, AckLevel.Replica));
    }
}
