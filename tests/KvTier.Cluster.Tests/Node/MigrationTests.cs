namespace KvTier.Cluster.Tests.Node;

public sealed class MigrationTests
{
    private static readonly TestBlock[] group = TestBlock.OfGroup(0, 40);
    private static readonly TimeSpan span = TimeSpan.FromSeconds(30);

    public static TheoryData<string> Steps { get; } = [.. Enum.GetNames<MigrationStep>()];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void MoveAsync_ToAnotherSilo_TakesTheWholeGroup(int replicas) => TestCluster.Run(3, replicas, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        Assert.Null(await owner.Node.MoveAsync(group[0].Group, other, span));
        cluster.Publish();
        Assert.Equal(other, cluster.OwnerOf(group[0]).Name);
        await cluster.SettleAsync();
        Assert.All(group, block => Assert.Equal(cluster.AskedFor(block).Order(), cluster.HoldersOf(block).Order()));
        Assert.Equal(1, owner.Node.Stats.MigrationsDone);
        Assert.Equal(0, cluster[other].Node.Stats.Reservations);
    });

    [Fact]
    public void MoveAsync_OfManyBlocks_HasTwoPiecesOnTheirWayAtATime() => TestCluster.Run(2, 1, async cluster =>
    {
        TestBlock[] many = TestBlock.OfGroup(1, 300);
        TestSilo owner = cluster.OwnerOf(many[0]);
        foreach (TestBlock block in many) Assert.Null(await owner.PutAsync(block));
        string other = cluster.Members.Single(silo => silo != owner).Name;
        (int now, int most) = (0, 0);
        owner.Peers.OnPush = async (_, _) =>
        {
            most = Math.Max(most, ++now);
            await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(1));
        };
        owner.Peers.AfterPush = (_, _) => Task.FromResult(now--);
        Assert.Null(await owner.Node.MoveAsync(many[0].Group, other, span));
        Assert.Equal((2, 0, 300), (most, now, owner.Peers.Pushed));
        Assert.All(many, block => Assert.True(cluster[other].Has(block)));
    });

    [Fact]
    public void MoveAsync_ASecondPieceFails_KeepsTheGroupAndLeavesNothingOnItsWay() => TestCluster.Run(2, 1, async cluster =>
    {
        TestBlock[] many = TestBlock.OfGroup(1, 300);
        TestSilo owner = cluster.OwnerOf(many[0]);
        foreach (TestBlock block in many) Assert.Null(await owner.PutAsync(block));
        TestSilo other = cluster.Members.Single(silo => silo != owner);
        (int begun, int now) = (0, 0);
        owner.Peers.OnPush = (_, _) =>
        {
            now++;
            if (++begun == 2) other.Store.IsFull = true;
            return Task.CompletedTask;
        };
        owner.Peers.AfterPush = (_, _) => Task.FromResult(now--);
        Assert.Equal(ErrorCode.HostFull, (await owner.Node.MoveAsync(many[0].Group, other.Name, span))!.Code);
        Assert.Equal((0, owner.Name), (now, cluster.OwnerOf(many[0]).Name));
        Assert.InRange(begun, 2, 3);
        other.Store.IsFull = false;
    });

    [Fact]
    public void MoveAsync_BackHome_LeavesNoEntry() => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        Assert.Null(await owner.Node.MoveAsync(group[0].Group, other, span));
        Assert.Single(cluster.Map.Moved);
        cluster.Publish();
        Assert.Null(await cluster[other].Node.MoveAsync(group[0].Group, owner.Name, span));
        Assert.Empty(cluster.Map.Moved);
        cluster.Publish();
        await cluster.SettleAsync();
        Assert.All(group, block => Assert.Equal([owner.Name], cluster.HoldersOf(block)));
    });

    [Fact]
    public void MoveAsync_AtAnotherSilo_AsksTheOwner() => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        TestSilo third = cluster.Members.Single(silo => silo != owner && silo.Name != other);
        Assert.Null(await third.Node.MoveAsync(group[0].Group, other, span));
        Assert.Equal(1, owner.Node.Stats.MigrationsDone);
        Assert.Equal(other, cluster.OwnerOf(group[0]).Name);
    });

    [Theory]
    [InlineData("nobody", "silo")]
    [InlineData("c", "silo")]
    public void MoveAsync_ToASiloThatTakesNothing_Refuses(string silo, string field) => TestCluster.Run(3, 1, async cluster =>
    {
        cluster.Drain("c");
        await cluster.SettleAsync();
        KvError? error = await cluster["a"].Node.MoveAsync(group[0].Group, silo, span);
        Assert.Equal((ErrorCode.InvalidArgument, field), (error!.Code, error.Field));
    });

    [Fact]
    public void MoveAsync_NoRoomThere_RefusesAndChangesNothing() => TestCluster.Run(2, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        cluster[other].UsedBytes = 1 << 30;
        KvError? error = await owner.Node.MoveAsync(group[0].Group, other, span);
        Assert.Equal(ErrorCode.LimitExceeded, error!.Code);
        Assert.Equal(owner.Name, cluster.OwnerOf(group[0]).Name);
        Assert.Equal(0, cluster[other].Store.Count);
    });

    [Fact]
    public void MoveAsync_PutsMeanwhile_MoveAlong() => TestCluster.Run(2, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        int late = 1000;
        var added = new List<TestBlock>();
        owner.Node.OnStep = async (_, _) =>
        {
            TestBlock block = group[0] with { Number = late++ };
            if (await cluster.OwnerOf(block).PutAsync(block) is null) added.Add(block);
        };
        Assert.Null(await owner.Node.MoveAsync(group[0].Group, other, span));
        cluster.Publish();
        await cluster.SettleAsync();
        Assert.True(added.Count >= 5);
        Assert.All(group.Concat(added), block => Assert.Equal([other], cluster.HoldersOf(block)));
    });

    [Fact]
    public void OnMove_WholeMove_TellsEachStageOnceAtBothSilos() => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        var given = new List<(MoveStage, BlockId, string)>();
        var got = new List<(MoveStage, BlockId, string)>();
        owner.Node.OnMove = (stage, id, silo) => given.Add((stage, id, silo));
        cluster[other].Node.OnMove = (stage, id, silo) => got.Add((stage, id, silo));
        Assert.Null(await owner.Node.MoveAsync(group[0].Group, other, span));
        cluster.Publish();
        await cluster.SettleAsync();
        MoveStage[] atOwner =
        [
            MoveStage.Reserve, MoveStage.Copy, MoveStage.CatchUp, MoveStage.Switch, MoveStage.LastCatchUp, MoveStage.GivenAway,
            MoveStage.Drop,
        ];
        Assert.Equal(atOwner.Select(stage => (stage, group[0].Group, other)), given);
        MoveStage[] atOther = [MoveStage.RoomKept, MoveStage.Arriving, MoveStage.Taken];
        Assert.Equal(atOther.Select(stage => (stage, group[0].Group, owner.Name)), got);
    });

    [Fact]
    public void OnMove_OtherSiloGoes_TellsThatItIsGivenUp() => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        var stages = new List<MoveStage>();
        owner.Node.OnMove = (stage, _, _) =>
        {
            stages.Add(stage);
            if (stage == MoveStage.CatchUp) cluster.Remove(other);
        };
        Assert.NotNull(await owner.Node.MoveAsync(group[0].Group, other, span));
        Assert.Equal(MoveStage.GivenUp, stages[^1]);
    });

    [Fact]
    public void MoveAsync_MapChangesBeforeTheCommit_LooksAgain() => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        int changes = 0;
        owner.Node.OnStep = (step, _) =>
        {
            // The owner's membership does not know of it yet.
            if (step == MigrationStep.Commit && changes++ < 3)
                cluster.Change(changes: new Dictionary<BlockId, string?> { [TestBlock.Of(7777 + changes).Group] = "a" });
            return ValueTask.CompletedTask;
        };
        Assert.Null(await owner.Node.MoveAsync(group[0].Group, other, span));
        Assert.True(changes >= 4);
        Assert.Equal(other, cluster.OwnerOf(group[0]).Name);
    });

    [Fact]
    public void MoveAsync_OtherSiloGoesBeforeTheCommit_KeepsTheGroup() => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        owner.Node.OnStep = (step, _) =>
        {
            if (step != MigrationStep.Commit) return ValueTask.CompletedTask;
            cluster.Crash(other);
            cluster.Remove(other);
            return ValueTask.CompletedTask;
        };
        Assert.NotNull(await owner.Node.MoveAsync(group[0].Group, other, span));
        await cluster.SettleAsync();
        Assert.All(group, block => Assert.Equal(cluster.AskedFor(block), cluster.HoldersOf(block)));
    });

    [Fact]
    public void MoveAsync_CommitWithoutAnAnswer_LooksWhatBecameOfIt() => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        owner.Membership.LosesCommits = true;
        Assert.Null(await owner.Node.MoveAsync(group[0].Group, other, span));
        Assert.Equal(other, cluster.OwnerOf(group[0]).Name);
    });

    [Theory]
    [MemberData(nameof(Steps))]
    public void MoveAsync_OwnerDiesAtAnyStep_LosesNothingThatAnotherHas(string at) => TestCluster.Run(3, 2, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        await DieAtAsync(cluster, owner, owner.Name, other, at);
    });

    [Theory]
    [MemberData(nameof(Steps))]
    public void MoveAsync_OtherSiloDiesAtAnyStep_LosesNothingThatAnotherHas(string at) => TestCluster.Run(3, 2, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        await DieAtAsync(cluster, owner, other, other, at);
    });

    [Theory]
    [MemberData(nameof(Steps))]
    public void MoveAsync_OwnerDiesAtAnyStepAndComesBack_LosesNothing(string at) => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        await DieAtAsync(cluster, owner, owner.Name, other, at, mayLack: true);
        cluster.Add(owner.Name, owner.Store, publish: true);
        await cluster.SettleAsync();
        Assert.All(group, block => Assert.Equal(cluster.AskedFor(block), cluster.HoldersOf(block)));
    });

    [Fact]
    public void MoveAsync_GivenUp_FreesTheRoomAndTheBlocks() => TestCluster.Run(3, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        owner.Node.OnStep = async (step, _) =>
        {
            if (step == MigrationStep.Commit) await cluster.Loop.PauseAsync(span);
        };
        Assert.NotNull(await owner.Node.MoveAsync(group[0].Group, other, TimeSpan.FromSeconds(2)));
        await cluster.Loop.PauseAsync(Reservations.Lasts + TimeSpan.FromSeconds(10));
        Assert.Equal(0, cluster[other].Node.Stats.Reservations);
        Assert.All(group, block => Assert.Equal([owner.Name], cluster.HoldersOf(block)));
    });

    [Fact]
    public void MoveAsync_OneGroupTwice_RefusesTheSecond() => TestCluster.Run(2, 1, async cluster =>
    {
        (TestSilo owner, string other) = await FillAsync(cluster);
        Task<KvError?> first = owner.Node.MoveAsync(group[0].Group, other, span).AsTask();
        KvError? second = await owner.Node.MoveAsync(group[0].Group, other, span);
        Assert.Equal(ErrorCode.Conflict, second!.Code);
        Assert.Null(await first);
    });

    [Fact]
    public void TryReserve_MoreThanThereIsRoomFor_Refuses() => TestCluster.Run(1, 1, async cluster =>
    {
        var node = new NodeContext
        {
            Options = cluster.Options,
            Membership = cluster["a"].Membership,
            Peers = cluster["a"].Peers,
            Store = cluster["a"].Store,
            Time = cluster.Loop.Time,
            Random = new Random(1),
        };
        var reservations = new Reservations(node);
        Assert.Null(reservations.TryReserve(TestBlock.Of(1).Id, "b", 60, 100));
        Assert.Equal(ErrorCode.LimitExceeded, reservations.TryReserve(TestBlock.Of(2).Id, "b", 60, 100)!.Code);
        Assert.Equal(ErrorCode.Conflict, reservations.TryReserve(TestBlock.Of(1).Id, "c", 10, 100)!.Code);
        for (int i = 0; i < Reservations.GroupsMax - 1; i++) Assert.Null(reservations.TryReserve(TestBlock.Of(10 + i).Id, "b", 0, 100));
        Assert.Equal(ErrorCode.Busy, reservations.TryReserve(TestBlock.Of(9).Id, "b", 0, 100)!.Code);
        await Task.CompletedTask;
    });

    private static async Task<(TestSilo Owner, string Other)> FillAsync(TestCluster cluster)
    {
        TestSilo owner = cluster.OwnerOf(group[0]);
        foreach (TestBlock block in group)
            Assert.Null(await owner.PutAsync(block, cluster.Map.Settings.Replicas > 1 ? AckLevel.Replica : AckLevel.Memory));
        return (owner, cluster.Members.Last(silo => silo != owner).Name);
    }

    private static async Task DieAtAsync(
        TestCluster cluster, TestSilo owner, string victim, string other, string at, bool mayLack = false)
    {
        bool died = false;
        owner.Node.OnStep = (step, _) =>
        {
            if (step.ToString() != at || died) return ValueTask.CompletedTask;
            died = true;
            cluster.Crash(victim);
            return ValueTask.CompletedTask;
        };
        Task<KvError?> move = owner.Node.MoveAsync(group[0].Group, other, span).AsTask();
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(3));
        Assert.True(died);
        cluster.Remove(victim);
        await cluster.SettleAsync(TimeSpan.FromMinutes(2));
        await move;
        if (!mayLack) Assert.All(group, block => Assert.Equal(cluster.AskedFor(block).Order(), cluster.HoldersOf(block).Order()));
    }
}
