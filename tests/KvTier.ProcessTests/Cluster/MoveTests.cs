using KvTier.Client;
using KvTier.Silo;

namespace KvTier.ProcessTests.Cluster;

/// <summary>A group is moved by the command while it is written and read; one of its two silos is killed at each stage in turn.</summary>
public sealed class MoveTests
{
    private static readonly string[] given =
        ["asking for room", "copying", "catching up", "switching", "switched, catching up for the last time", "given away"];

    private static readonly string[] got = ["room kept", "arriving", "taken"];

    [Fact]
    public Task KillMinus9_TheSiloThatGivesAtEachStage_OneCopy_NothingIsLostOnceItIsBack() =>
        KillAtEachAsync(replicas: 1, isGiver: true, [.. given, "dropping"]);

    [Fact]
    public Task KillMinus9_TheSiloThatGivesAtEachStage_TwoCopies_NothingIsMissed() =>
        KillAtEachAsync(replicas: 2, isGiver: true, given);

    [Fact]
    public Task KillMinus9_TheSiloThatGetsAtEachStage_OneCopy_NothingIsLostOnceItIsBack() =>
        KillAtEachAsync(replicas: 1, isGiver: false, got);

    [Fact]
    public Task KillMinus9_TheSiloThatGetsAtEachStage_TwoCopies_NothingIsMissed() =>
        KillAtEachAsync(replicas: 2, isGiver: false, got);

    private static async Task KillAtEachAsync(int replicas, bool isGiver, string[] stages)
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas);
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks all = await ClusterBlocks.OpenAsync(client);
        AckLevel ack = replicas == 1 ? AckLevel.Ssd : AckLevel.Replica;
        var before = new List<(ClusterBlocks Blocks, IReadOnlyList<long> Acknowledged)>();
        for (int i = 0; i < stages.Length; i++)
        {
            var group = new MovedGroup(cluster, client, all, 1 + (i * 1_000_000), ack);
            TestMember victim = isGiver ? group.From : group.To;
            await using SteadyLoad load = group.Load();
            await load.PassAsync(100);
            await group.KillAtAsync(victim, stages[i]);
            await victim.StartAsync();
            await cluster.WaitUntilSettledAsync();
            await load.PassAsync(50);
            await load.StopAsync();
            Assert.True(load.Wrong == 0, $"{load.Wrong} wrong blocks, {victim.Name} killed at \"{stages[i]}\"");
            if (replicas > 1)
            {
                AssertNone(load.Missed, "missed", stages[i]);
                AssertNone(load.Failures, "failed", stages[i]);
            }

            AssertNone(await group.Blocks.MissingAsync(load.Acknowledged), "lost", stages[i]);
            await group.AssertOneOwnerAsync(group.First + 500_000);
            await WaitUntilNoRoomIsKeptAsync(cluster);

            // The next one goes through, to wherever the group is not.
            TestMember owner = cluster.Member(client.Map!.Silos[client.Map.OwnerOf(all.IdOf(group.First))].Name);
            TestMember next = owner == group.To ? group.From : group.To;
            KvtierRun again = await group.MoveAsync(next);
            Assert.True(again.ExitCode == 0, $"after a kill at \"{stages[i]}\": {again.Error}");
            AssertNone(await group.Blocks.MissingAsync(load.Acknowledged), "lost by the next move", stages[i]);
            before.Add((group.Blocks, load.Acknowledged));
        }

        foreach ((ClusterBlocks blocks, IReadOnlyList<long> acknowledged) in before) Assert.Empty(await blocks.MissingAsync(acknowledged));
    }

    private static void AssertNone<T>(IReadOnlyList<T> some, string what, string stage) =>
        Assert.True(some.Count == 0, $"{some.Count} {what} after a kill at \"{stage}\": {string.Join(" | ", some.Take(5))}");

    private static Task WaitUntilNoRoomIsKeptAsync(TestCluster cluster) => TestCluster.WaitAsync(async () =>
    {
        var seen = new List<string>();
        foreach (TestMember member in cluster.Members)
        {
            ClusterStatus status = await TestCluster.StatusAsync(member);
            if (status.Counters["reservations"] > 0) seen.Add(status.ToJson());
        }

        return (seen.Count == 0, string.Join("\n", seen));
    });
}
