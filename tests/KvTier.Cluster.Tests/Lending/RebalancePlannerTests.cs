namespace KvTier.Cluster.Tests;

public sealed class RebalancePlannerTests
{
    private static readonly ClusterOptions options = new() { HighWatermark = 0.9, LowWatermark = 0.7 };

    [Fact]
    public void Plan_SiloAboveTheMark_LendsItsColdestGroupsUntilItIsBelow()
    {
        LendingModel model = LendingModel.Even(3, capacity: 1000);
        BlockId[] groups = model.AddGroups("a", 10, bytes: 95);
        model.Heat(groups[0], 50);
        RebalancePlan plan = model.Plan(options);
        PlannedMove move = Assert.Single(plan.Moves);
        Assert.Equal(("a", "a", 95, MoveReason.Lend), (move.From, move.Relieved, move.Bytes, move.Reason));
        Assert.NotEqual(groups[0], move.Group);
        Assert.Equal([950, 0, 0], plan.Silos.Select(silo => silo.UsedBytes));
        Assert.Equal(855, plan.Silos[0].UsedBytesAfter);
        Assert.Contains("above its high watermark", move.Why, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_BetweenTheMarks_IsEmpty()
    {
        LendingModel model = LendingModel.Even(3, capacity: 1000);
        model.AddGroups("a", 9, bytes: 100);
        Assert.Empty(model.Plan(options).Moves);
    }

    [Fact]
    public void Plan_HomeHasRoomAgain_GivesBackAndTakesTheEntryAway()
    {
        LendingModel model = LendingModel.Even(3, capacity: 1000);
        BlockId[] groups = model.AddGroups("a", 10, bytes: 95);
        model.Apply(model.Plan(options));
        BlockId lent = Assert.Single(model.Map.Moved).Key;
        Assert.Empty(model.Plan(options).Moves);
        foreach (BlockId group in groups.Where(group => group != lent).Take(4)) model.Remove(group);
        Assert.Empty(model.Plan(options).Moves);
        model.Fill(model.Map.Moved[lent], 650);
        PlannedMove back = Assert.Single(model.Plan(options).Moves);
        Assert.Equal((lent, "a", MoveReason.GiveBack), (back.Group, back.To, back.Reason));
        model.Apply(model.Plan(options));
        Assert.Empty(model.Map.Moved);
    }

    [Fact]
    public void Plan_CreditorOfADebtor_GetsNothingLentBack()
    {
        LendingModel model = LendingModel.Even(2, capacity: 1000);
        model.AddGroups("a", 10, bytes: 95);
        model.Apply(model.Plan(options));
        Assert.Equal("b", Assert.Single(model.Map.Moved).Value);
        model.RemoveAllOf("a");
        model.AddGroups("a", 2, bytes: 300);
        model.AddGroups("b", 10, bytes: 85);
        Assert.DoesNotContain(model.Plan(options).Moves, move => move is { Reason: MoveReason.Lend, From: "b" });
    }

    [Fact]
    public void Plan_TwoReplicas_RelievesTheLastHolderNotTheOwner()
    {
        LendingModel model = LendingModel.Even(4, capacity: 1000, replicas: 2);
        BlockId[] groups = model.AddGroups("a", 5, bytes: 100);
        string last = model.LastHolderOf(groups[0]);
        model.Fill(last, 950);
        Assert.All(model.Plan(options).Moves, move => Assert.Equal((last, "a"), (move.Relieved, move.From)));
        Assert.NotEmpty(model.Plan(options).Moves);
    }

    [Fact]
    public void Plan_SiloThatSaidNothingOrDrains_IsNoCreditor()
    {
        LendingModel model = LendingModel.Even(2, capacity: 1000);
        model.AddGroups("a", 10, bytes: 95);
        model.Silence("b");
        Assert.Empty(model.Plan(options).Moves);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Plan_RandomClusters_NeverOverfillsNorRepeatsNorCirclesAndConverges(int range)
    {
        for (int seed = range * 100; seed < range * 100 + 60; seed++)
        {
            var random = new Random(seed);
            LendingModel model = LendingModel.Random(random);
            int rounds = 0;
            for (; rounds < 200; rounds++)
            {
                int movesMax = random.Next(1, 12);
                RebalancePlan plan = model.Plan(options, movesMax);
                Check(seed, model, plan, movesMax);
                if (plan.Moves.Count == 0) break;
                model.Apply(plan);
                Assert.False(model.HasCircle(), $"seed {seed}: debts go round");
            }

            Assert.True(rounds < 200, $"seed {seed}: does not come to rest");
            Assert.Empty(model.Plan(options).Moves);
        }
    }

    private static void Check(int seed, LendingModel model, RebalancePlan plan, int movesMax)
    {
        Assert.True(plan.Moves.Count <= movesMax);
        Assert.Equal(plan.Moves.Count, plan.Moves.Select(move => move.Group).Distinct().Count());
        foreach (SiloOutlook silo in plan.Silos)
        {
            bool took = plan.Moves.Any(move => move.To == silo.Name && move.Bytes > 0);
            if (!took) continue;
            Assert.True(silo.UsedBytesAfter <= 0.9 * silo.CapacityBytes, $"seed {seed}: {silo} is overfull");
        }

        foreach (PlannedMove move in plan.Moves)
        {
            Assert.Equal(model.Map.Silos[model.Map.OwnerOf(move.Group)].Name, move.From);
            Assert.NotEqual(move.From, move.To);
            if (move.Reason == MoveReason.GiveBack) Assert.Equal(model.Map.Silos[model.Map.HomeOf(move.Group)].Name, move.To);
        }
    }
}
