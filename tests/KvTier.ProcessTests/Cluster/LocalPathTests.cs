using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

/// <summary>Blocks that go through the shared memory of a silo which is one of several.</summary>
public sealed class LocalPathTests
{
    private static readonly NamespaceDescriptor tenant = new("test", Profiles.Opaque);

    [Fact]
    public async Task Put_ThroughSharedMemoryWithAckReplica_IsThereWhenTheSiloIsKilled()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 2);
        await using KvClusterClient routed = await cluster.ConnectAsync();
        ClusterBlocks blocks = await ClusterBlocks.OpenAsync(routed);
        TestMember owner = cluster.Members[1];
        await using KvTierClient local = await owner.ConnectAsync(TransportMode.Local);
        KvNamespace here = (await local.OpenNamespaceAsync(tenant, TestSilo.Cancel)).Value;
        var acknowledged = new List<long>();
        for (long number = 1; number <= 200; number++)
        {
            Result<PutStatus> put = await NumberedBlocks.PutAsync(here, number, AckLevel.Replica);
            Assert.Null(put.Error);
            Assert.Equal(blocks.OwnerOf(number) == owner.Name ? PutStatus.Stored : PutStatus.Moved, put.Value);
            if (put.Value == PutStatus.Stored) acknowledged.Add(number);
        }

        Assert.NotEmpty(acknowledged);
        Assert.Empty(await NumberedBlocks.MissingAsync(here, acknowledged));
        await cluster.KillAndLapseAsync(owner);
        await TestCluster.WaitForMemberAsync(cluster.Members[0], owner.Name, isMember: false);
        Assert.Empty(await blocks.MissingAsync(acknowledged));
    }

    [Fact]
    public async Task Commit_OfAGroupThatMovedMeanwhile_SaysSoAndTheOwnerTakesTheBlock()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(2, replicas: 1);
        await using KvClusterClient routed = await cluster.ConnectAsync();
        ClusterBlocks blocks = await ClusterBlocks.OpenAsync(routed);
        const long number = 1;
        TestMember owner = cluster.Member(blocks.OwnerOf(number));
        TestMember other = cluster.Members.Single(member => member != owner);
        await using KvTierClient local = await owner.ConnectAsync(TransportMode.Local);
        KvNamespace here = (await local.OpenNamespaceAsync(tenant, TestSilo.Cancel)).Value;
        byte[] bytes = NumberedBlocks.Bytes(number);
        var reservations = new BlockReservation[1];
        var reserve = new ReserveBlock[] { new(NumberedBlocks.Key(number), bytes.Length) };
        Assert.Null((await here.ReserveAsync(reserve, reservations, cancellationToken: TestSilo.Cancel)).Error);
        bytes.CopyTo(reservations[0].Memory);
        KvtierRun move = await KvtierRun.Async("cluster", "move", $"{blocks.IdOf(number)}", other.Name, "-e", owner.Endpoint);
        Assert.True(move.ExitCode == 0, move.Error);
        var statuses = new PutStatus[1];
        Result<PutSummary> commit = await here.CommitAsync(reservations, statuses, cancellationToken: TestSilo.Cancel);
        Assert.Equal(PutStatus.Moved, statuses[0]);
        Assert.Equal(1, commit.Value.Moved);
        Assert.Null(await blocks.PutAsync(number, AckLevel.Memory));
        Assert.Empty(await blocks.MissingAsync([number]));
        await using KvTierClient atOther = await other.ConnectAsync(TransportMode.Local);
        Assert.Empty(await NumberedBlocks.MissingAsync((await atOther.OpenNamespaceAsync(tenant, TestSilo.Cancel)).Value, [number]));
    }

    [Fact]
    public async Task Lease_WhenItsSiloIsKilled_IsVoidAndTheOthersHold()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 1);
        var options = new KvClusterClientOptions
        {
            Endpoints = [.. cluster.Members.Select(member => member.Socket)],
            Silo = new KvTierClientOptions { RequestTimeout = TimeSpan.FromSeconds(30), LeaseDuration = TimeSpan.FromMinutes(1) },
            TryTimeout = TimeSpan.FromSeconds(20),
        };
        await using KvClusterClient client = (await KvClusterClient.ConnectAsync(options, TestSilo.Cancel)).Value;
        KvClusterNamespace ns = (await client.OpenNamespaceAsync(tenant, TestSilo.Cancel)).Value;
        long[] numbers = [.. Enumerable.Range(1, 150).Select(i => (long)i)];
        PutBlock[] puts = [.. numbers.Select(number => new PutBlock(NumberedBlocks.Key(number), NumberedBlocks.Bytes(number)))];
        Assert.True((await ns.PutAsync(puts, cancellationToken: TestSilo.Cancel)).Value.AllAcknowledged);
        BlockId[] ids = [.. numbers.Select(number => ns.IdOf(NumberedBlocks.Key(number)))];
        string[] owners = [.. ids.Select(id => client.Map!.Silos[client.Map.OwnerOf(id)].Name)];
        var leases = new BlockLease[ids.Length];
        Assert.Equal(ids.Length, (await ns.LeaseAsync(ids, leases, cancellationToken: TestSilo.Cancel)).Value);
        Assert.Equal(3, owners.Distinct().Count());

        TestMember killed = cluster.Members[2];
        await killed.Process.KillAsync();
        await TestCluster.WaitAsync(() =>
        {
            int held = leases.Where((lease, i) => owners[i] == killed.Name && lease.IsValid).Count();
            return Task.FromResult((held == 0, $"{held} leases of a dead silo hold"));
        });
        for (int i = 0; i < ids.Length; i++)
        {
            if (owners[i] != killed.Name) Assert.True(leases[i].Memory.Span.SequenceEqual(puts[i].Payload.Span) && leases[i].Verify());
            leases[i].Dispose();
        }
    }
}
