namespace KvTier.Cluster.Tests.Node;

public sealed class LenderTests
{
    private static readonly TestBlock[] group = TestBlock.OfGroup(0, 40);

    [Fact]
    public void Lender_SiloAboveItsMark_LendsAndGetsBackWhenItHasRoom() => TestCluster.Run(3, 1, async cluster =>
    {
        TestSilo owner = cluster.OwnerOf(group[0]);
        foreach (TestBlock block in group) owner.Seal(block);
        owner.UsedBytes = (long)(0.95 * (1 << 30));
        cluster.Publish();
        await cluster.Loop.UntilAsync(() => cluster.Map.Moved.Count == 1, TimeSpan.FromSeconds(60));
        cluster.Publish();
        await cluster.SettleAsync();
        string creditor = cluster.Map.Moved[group[0].Group];
        Assert.All(group, block => Assert.Equal([creditor], cluster.HoldersOf(block)));
        owner.UsedBytes = 1 << 20;
        cluster[creditor].UsedBytes = (long)(0.75 * (1 << 30));
        cluster.Publish();
        await cluster.Loop.UntilAsync(() => cluster.Map.Moved.Count == 0, TimeSpan.FromSeconds(60));
        cluster.Publish();
        await cluster.SettleAsync();
        Assert.All(group, block => Assert.Equal([owner.Name], cluster.HoldersOf(block)));
    });

    [Fact]
    public void PlanRebalance_OfAFullSilo_NamesItsGroupsAndMovesNothing() => TestCluster.Run(3, 1, async cluster =>
    {
        TestSilo owner = cluster.OwnerOf(group[0]);
        foreach (TestBlock block in group) owner.Seal(block);
        owner.UsedBytes = (long)(0.95 * (1 << 30));
        cluster.Publish();
        RebalancePlan plan = await owner.Node.PlanRebalanceAsync();
        PlannedMove move = Assert.Single(plan.Moves);
        Assert.Equal((group[0].Group, owner.Name, MoveReason.Lend), (move.Group, move.From, move.Reason));
        Assert.Equal(group.Sum(block => (long)block.Payload.Length), move.Bytes);
        Assert.Empty(cluster.Map.Moved);
        Assert.Equal((1, null), await owner.Node.RebalanceAsync(plan, TimeSpan.FromSeconds(30)));
        Assert.Equal(move.To, Assert.Single(cluster.Map.Moved).Value);
    });
}
