using KvTier.Cli;
using KvTier.Client;
using KvTier.Silo;

namespace KvTier.ProcessTests.Cluster;

/// <summary>Groups that an operator has moved, by the command.</summary>
public sealed class RebalanceTests
{
    private const int BlocksOfGroup = 350;

    [Fact]
    public async Task Move_ThereAndBackThroughAnySilo_ChangesTheOwnerAndLeavesNoEntry()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 1);
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks all = await ClusterBlocks.OpenAsync(client);
        var group = new MovedGroup(cluster, client, all, 1, AckLevel.Memory);
        long[] numbers = await FillAsync(group.Blocks, 1, 50);
        string id = $"{all.IdOf(1)}";
        Assert.True((await group.MoveAsync(group.To, "--json")).Json().GetProperty("settled").GetBoolean());
        JsonElement moved = await StatusAsync(group.Bystander);
        Assert.Equal(group.To.Name, moved.GetProperty("moved").GetProperty(id).GetString());
        await group.AssertOneOwnerAsync(999);
        Assert.Empty(await group.Blocks.MissingAsync(numbers));

        Assert.True((await group.MoveAsync(group.To, "--json")).Json().GetProperty("settled").GetBoolean());
        KvtierRun back = await KvtierRun.Async("cluster", "move", id, group.From.Name, "-e", group.To.Endpoint);
        Assert.True(back.ExitCode == 0, back.Error);
        Assert.Equal(0, (await StatusAsync(group.Bystander)).GetProperty("movedGroups").GetInt32());
        Assert.Empty(await group.Blocks.MissingAsync(numbers));
        await group.AssertOneOwnerAsync(1000);
    }

    [Fact]
    public async Task Move_ToNobodyOrOfNothing_IsRefusedWithWhatIsAllowed()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(2, replicas: 1);
        string endpoint = cluster.Members[0].Endpoint;
        const string group = "00112233445566778899aabbccddeeff";
        KvtierRun nobody = await KvtierRun.Async("cluster", "move", group, "silo-9", "-e", endpoint);
        Assert.Equal(ExitCodes.Usage, nobody.ExitCode);
        Assert.Contains("one of silo-0, silo-1", nobody.Error, StringComparison.Ordinal);
        KvtierRun nothing = await KvtierRun.Async("cluster", "move", "xyz", "silo-1", "-e", endpoint);
        Assert.Equal(ExitCodes.Usage, nothing.ExitCode);
        Assert.Contains("32 hexadecimal digits", nothing.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await KvtierRun.Async("cluster", "drain", "silo-1", "-e", endpoint)).ExitCode);
        KvtierRun drained = await KvtierRun.Async("cluster", "move", group, "silo-1", "-e", endpoint);
        Assert.Equal(ExitCodes.Usage, drained.ExitCode);
        Assert.Contains("a member that does not drain", drained.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rebalance_ASiloAboveItsMark_LendsGroupsAndNothingIsLost()
    {
        string[] marks = ["--cluster-high-watermark", "2", "--cluster-low-watermark", "1"];
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 1, null, marks);
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks all = await ClusterBlocks.OpenAsync(client);
        KvtierRun none = await KvtierRun.Async("cluster", "rebalance", "--dry-run", "-e", cluster.Members[1].Endpoint);
        Assert.StartsWith("0 groups to move", none.Out, StringComparison.Ordinal);

        // Five groups of 7 MB: the silo has 35 MB, and its mark is at 24 MB. The others may take 12 MB each.
        string full = all.OwnerOf(1);
        var groups = new List<(ClusterBlocks Blocks, long[] Numbers)>();
        for (long first = 1; groups.Count < 5; first += 1000)
        {
            if (all.OwnerOf(first) == full) groups.Add((all.OfGroup(first), await FillAsync(all.OfGroup(first), first, BlocksOfGroup)));
        }

        // The silo follows the plan by itself too: who comes first is all the same.
        await TestCluster.WaitAsync(async () =>
        {
            KvtierRun dry = await KvtierRun.Async("cluster", "rebalance", "--dry-run", "--json", "-e", cluster.Members[2].Endpoint);
            KvtierRun run = await KvtierRun.Async("cluster", "rebalance", "--json", "-e", cluster.Members[2].Endpoint);
            Assert.True(dry.Json().GetProperty("dryRun").GetBoolean());
            Assert.False(run.Json().GetProperty("dryRun").GetBoolean());
            ClusterStatus status = await TestCluster.StatusAsync(cluster.Members[0]);
            bool below = status.Silos.All(silo => silo.UsedBytes <= silo.CapacityBytes * 0.02);
            return (below && status.MovedGroups > 0 && status.Silos.All(silo => silo.Settled), $"{dry.Out} {run.Out} {status.ToJson()}");
        });
        foreach ((ClusterBlocks blocks, long[] numbers) in groups) Assert.Empty(await blocks.MissingAsync(numbers));
    }

    private static async Task<long[]> FillAsync(ClusterBlocks blocks, long first, int count)
    {
        long[] numbers = [.. Enumerable.Range(0, count).Select(i => first + i)];
        foreach (long number in numbers) Assert.Null(await blocks.PutAsync(number, AckLevel.Memory));
        return numbers;
    }

    private static async Task<JsonElement> StatusAsync(TestMember member) =>
        (await KvtierRun.Async("cluster", "status", "--json", "-e", member.Endpoint)).Json();
}
