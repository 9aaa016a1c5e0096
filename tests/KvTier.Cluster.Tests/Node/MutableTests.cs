namespace KvTier.Cluster.Tests.Node;

public sealed class MutableTests
{
    private static readonly TestBlock[] values = [.. Enumerable.Range(0, 60).Select(number => TestBlock.Of(number, TestBlock.Mutable))];

    [Fact]
    public void PrepareAsync_AllSettled_AsksNobody() => TestCluster.Run(3, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        foreach (TestSilo silo in cluster.Members) silo.Peers.Calls.Clear();
        await AssertAllAsync(cluster, 1);
        Assert.All(cluster.Members, silo => Assert.Empty(silo.Peers.Calls));
    });

    [Fact]
    public void PrepareAsync_SiloHasJustJoined_BringsTheValue() => TestCluster.Run(2, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        cluster.Add("c", publish: true);
        await AssertAllAsync(cluster, 1);
        await cluster.SettleAsync();
        await AssertAllAsync(cluster, 1);
        AssertPlaced(cluster);
    });

    [Fact]
    public void Walk_SiloDrains_HandsItsValuesOver() => TestCluster.Run(3, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        cluster.Drain("a");
        await cluster.SettleAsync();
        AssertPlaced(cluster);
        await AssertAllAsync(cluster, 1);
    });

    [Fact]
    public void PrepareAsync_ReplacedBeforeTheOldOneComes_KeepsTheNewOne() => TestCluster.Run(2, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        Block(cluster);
        cluster.Add("c", publish: true);
        await SetAllAsync(cluster, 2);
        Unblock(cluster);
        await cluster.SettleAsync();
        await AssertAllAsync(cluster, 2);
        AssertPlaced(cluster);
    });

    [Fact]
    public void PrepareAsync_DeletedBeforeTheOldOneComes_StaysDeleted() => TestCluster.Run(2, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        Block(cluster);
        cluster.Add("c", publish: true);
        foreach (TestBlock value in values) Assert.Null(await DeleteAsync(cluster, value));
        Unblock(cluster);
        await cluster.SettleAsync();
        Assert.All(values, value => Assert.Empty(cluster.HoldersOf(value)));
    });

    [Fact]
    public void Faults_ForgetTouched_BringsDeletedValuesBack() => TestCluster.Run(2, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        Block(cluster);
        TestSilo joined = cluster.Add("c", publish: true);
        joined.Node.Faults = new Faults { ForgetTouched = true };
        foreach (TestBlock value in values) Assert.Null(await DeleteAsync(cluster, value));
        Unblock(cluster);
        await cluster.SettleAsync();
        Assert.Contains(values, value => cluster.HoldersOf(value).Length > 0);
    });

    [Fact]
    public void PrepareAsync_EarlierOwnerCutOff_SaysUnavailableAndLetsReplace() => TestCluster.Run(2, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        TestSilo joined = cluster.Add("c", publish: true);
        joined.Peers.Cut.Add("a");
        joined.Peers.Cut.Add("b");
        TestBlock value = values.First(each => cluster.OwnerOf(each) == joined);
        foreach (ValueAccess access in Enum.GetValues<ValueAccess>())
        {
            KvError? error = await joined.Node.PrepareAsync(joined.HandleOf(value), value.Id, access, TimeSpan.FromSeconds(1));
            Assert.Equal(access == ValueAccess.Replace ? null : ErrorCode.Unavailable, error?.Code);
        }
    });

    [Fact]
    public void Walk_GroupsComeBackToASilo_ServesWhatTheOwnerInBetweenWrote() => TestCluster.Run(3, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        Dictionary<TestBlock, TestSilo> first = values.ToDictionary(value => value, value => cluster.OwnerOf(value));
        Block(cluster);
        Move(cluster, value => cluster.Members.First(silo => silo != first[value]).Name);
        await SetAllAsync(cluster, 2);
        Move(cluster, _ => null);
        Assert.All(values, value => Assert.Equal(first[value], cluster.OwnerOf(value)));
        Unblock(cluster);
        await AssertAllAsync(cluster, 2);
        await cluster.SettleAsync();
        await AssertAllAsync(cluster, 2);
        AssertPlaced(cluster);
    });

    [Fact]
    public void Rejoin_WithOldValuesOnDisk_ServesNoneOfThem() => TestCluster.Run(3, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        TestSilo old = cluster["b"];
        cluster.Crash("b");
        cluster.Remove("b");
        await cluster.SettleAsync();
        TestBlock[] lost = [.. values.Where(old.Has)];
        await SetAllAsync(cluster, 2);
        TestSilo back = cluster.Add("b", old.Store, publish: true);
        await AssertAllAsync(cluster, 2);
        await cluster.SettleAsync();
        await AssertAllAsync(cluster, 2);
        AssertPlaced(cluster);
        Assert.True(back.Node.Stats.MutableDropped >= lost.Length);
    });

    [Fact]
    public void Rejoin_WithOldValuesThatWereDeletedMeanwhile_BringsNoneBack() => TestCluster.Run(3, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        TestSilo old = cluster["b"];
        cluster.Crash("b");
        cluster.Remove("b");
        await cluster.SettleAsync();
        foreach (TestBlock value in values) Assert.Null(await DeleteAsync(cluster, value));
        cluster.Add("b", old.Store, publish: true);
        await cluster.SettleAsync();
        Assert.All(values, value => Assert.Empty(cluster.HoldersOf(value)));
    });

    [Fact]
    public void Rejoin_BeforeItWasTakenOutOfTheMap_ServesNoneOfItsOldValues() => TestCluster.Run(3, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        var disk = new MemoryStore();
        TestBlock[] lost = [.. values.Where(cluster["b"].Has)];
        foreach (TestBlock value in lost) disk.Set(disk.OpenNamespace(value.Namespace).Value, (value with { Version = 1 }).ToStored());
        await SetAllAsync(cluster, 2);
        cluster.Crash("b");
        cluster.Add("b", disk, publish: true);
        await AssertLostAsync(cluster, lost);
    });

    [Fact]
    public void PrepareAsync_OwnerInBetweenHasGone_TakesNoOlderValue() => TestCluster.Run(2, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        Block(cluster);
        TestSilo between = cluster.Add("c", publish: true);
        await SetAllAsync(cluster, 2);
        TestBlock[] lost = [.. values.Where(between.Has)];
        cluster.Crash("c");
        cluster.Add("c", publish: true);
        await AssertLostAsync(cluster, lost);
        Unblock(cluster);
        await cluster.SettleAsync();
        await AssertLostAsync(cluster, lost);
        AssertPlaced(cluster, values.Except(lost));
    });

    [Fact]
    public void PrepareAsync_DeletedByAnOwnerThatHasSettled_StaysDeleted() => TestCluster.Run(2, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        Block(cluster);
        TestSilo between = cluster.Add("c", publish: true);
        TestBlock[] deleted = [.. values.Where(value => cluster.OwnerOf(value) == between)];
        foreach (TestBlock value in deleted) Assert.Null(await DeleteAsync(cluster, value));
        cluster.Add("d", publish: true);
        await cluster.Loop.UntilAsync(() => between.Node.SettledEpoch == cluster.Map.Epoch);
        cluster.Publish();
        Assert.Contains(deleted, value => cluster.OwnerOf(value).Name == "d");
        foreach (TestBlock value in deleted) Assert.Equal((null, null), await GetAsync(cluster, value));
    });

    [Fact]
    public void PrepareAsync_ManyAtOnce_BringsAValueOnce() => TestCluster.Run(2, 1, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        Block(cluster);
        TestSilo joined = cluster.Add("c", publish: true);
        TestBlock value = values.First(each => cluster.OwnerOf(each) == joined);
        KvError?[] errors = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => joined.Node.PrepareAsync(
            joined.HandleOf(value), value.Id, ValueAccess.Update, TimeSpan.FromSeconds(1)).AsTask()));
        Assert.All(errors, Assert.Null);
        Assert.Equal(1, joined.Peers.Calls.GetValueOrDefault(BlockOps.Fetch));
        Unblock(cluster);
    });

    [Fact]
    public void ReplicateAsync_OfMutableValues_CopiesNothing() => TestCluster.Run(3, 3, async cluster =>
    {
        await SetAllAsync(cluster, 1);
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(5));
        Assert.All(values, value => Assert.Single(cluster.HoldersOf(value)));
    });

    internal static async Task<KvError?> SetAsync(TestCluster cluster, TestBlock value)
    {
        TestSilo owner = cluster.OwnerOf(value);
        if (await ReadyAsync(owner, value, ValueAccess.Replace, AccessKind.Change) is { } error) return error;
        owner.Seal(value);
        return owner.Node.Admit(value.Namespace, value.Group, AccessKind.Change) == Admission.Serve
            ? null
            : new KvError(ErrorCode.Moved, "value");
    }

    internal static async Task<KvError?> DeleteAsync(TestCluster cluster, TestBlock value)
    {
        TestSilo owner = cluster.OwnerOf(value);
        if (await ReadyAsync(owner, value, ValueAccess.Update, AccessKind.Change) is { } error) return error;
        owner.Store.Remove(owner.HandleOf(value), value.Id);
        return owner.Node.Admit(value.Namespace, value.Group, AccessKind.Change) == Admission.Serve
            ? null
            : new KvError(ErrorCode.Moved, "value");
    }

    internal static async Task<(byte[]? Value, KvError? Error)> GetAsync(TestCluster cluster, TestBlock value)
    {
        TestSilo owner = cluster.OwnerOf(value);
        if (await ReadyAsync(owner, value, ValueAccess.Read, AccessKind.Read) is { } error) return (null, error);
        return (owner.Store.Get(owner.HandleOf(value), value.Id), null);
    }

    private static async Task<KvError?> ReadyAsync(TestSilo owner, TestBlock value, ValueAccess access, AccessKind kind)
    {
        Admission admission = owner.Node.Admit(value.Namespace, value.Group, kind);
        if (admission != Admission.Serve) return new KvError(admission == Admission.Moved ? ErrorCode.Moved : ErrorCode.Fenced, "value");
        return await owner.Node.PrepareAsync(owner.HandleOf(value), value.Id, access, TimeSpan.FromSeconds(2));
    }

    private static async Task SetAllAsync(TestCluster cluster, int version)
    {
        foreach (TestBlock value in values) Assert.Null(await SetAsync(cluster, value with { Version = version }));
    }

    private static async Task AssertAllAsync(TestCluster cluster, int version)
    {
        foreach (TestBlock value in values)
        {
            (byte[]? found, KvError? error) = await GetAsync(cluster, value);
            Assert.Null(error);
            Assert.Equal((value with { Version = version }).Payload, found);
        }
    }

    private static async Task AssertLostAsync(TestCluster cluster, TestBlock[] lost)
    {
        foreach (TestBlock value in values)
        {
            byte[]? expected = lost.Contains(value) ? null : (value with { Version = 2 }).Payload;
            (byte[]? found, KvError? error) = await GetAsync(cluster, value);
            Assert.Null(error);
            Assert.Equal(expected, found);
        }
    }

    private static void AssertPlaced(TestCluster cluster, IEnumerable<TestBlock>? some = null) =>
        Assert.All(some ?? values, value => Assert.Equal(cluster.AskedFor(value), cluster.HoldersOf(value)));

    private static void Move(TestCluster cluster, Func<TestBlock, string?> to)
    {
        cluster.Change(changes: values.ToDictionary(value => value.Group, to));
        cluster.Publish();
    }

    /// <summary>Keeps walks from handing values over, while reads and changes go on.</summary>
    private static void Block(TestCluster cluster)
    {
        foreach (TestSilo silo in cluster.Silos.Values) silo.Peers.IsOfferLost = true;
    }

    private static void Unblock(TestCluster cluster)
    {
        foreach (TestSilo silo in cluster.Silos.Values) silo.Peers.IsOfferLost = false;
    }
}
