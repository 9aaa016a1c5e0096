using KvTier.Testing;

namespace KvTier.Engine.Tests;

public sealed class HostTierTests
{
    [Fact]
    public async Task Put_NewBlock_IsFoundWithItsBytes()
    {
        await using var harness = new EngineHarness();
        Assert.Equal(MissReason.NeverStored, harness.Get(1));
        Assert.Equal(PutBegin.Reserved, harness.Put(1, length: 700));
        Assert.Equal(PutBegin.Present, harness.Put(1, length: 700));
        Assert.Equal(MissReason.None, harness.Get(1));
        Assert.Equal(TierSet.Host, harness.Describe(1).Tiers);
        EngineStats stats = harness.Engine.Stats;
        Assert.Equal((1, 700, 1024), (stats.HostBlocks, stats.HostBytes, stats.HostSlotBytes));
        Assert.Equal((1, 1, 1, 0), (stats.Puts, stats.PutsPresent, stats.HostHits, stats.LeasedSlots));
    }

    [Fact]
    public async Task Put_EmptyBlock_TakesNoArenaAndIsLeased()
    {
        await using var harness = new EngineHarness();
        Assert.Equal(PutBegin.Reserved, harness.Put(1, length: 0));
        Assert.Equal(MissReason.None, harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(1), out BlockLease lease));
        Assert.Equal((-1, 0), (lease.Slot, lease.Length));
        harness.Engine.Release(lease);
        Assert.Equal(0, harness.Arena.UsedBytes);
        Assert.True(harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(1)));
    }

    [Fact]
    public async Task TryLease_PutNotSealed_SaysSo()
    {
        await using var harness = new EngineHarness();
        harness.Begin(1, out Reservation reservation);
        Assert.Equal(MissReason.NotSealed, harness.Get(1));
        harness.Engine.Abort(reservation);
        Assert.Equal(MissReason.NeverStored, harness.Get(1));
        Assert.Equal(SealStatus.Unknown, harness.Seal(1, reservation, out _));
        Assert.Equal(0, harness.Engine.Stats.ReservedSlots);
    }

    [Fact]
    public async Task Seal_OtherPutSealedFirst_DropsTheSecond()
    {
        await using var harness = new EngineHarness();
        harness.Begin(1, out Reservation first);
        harness.Begin(1, out Reservation second);
        Assert.Equal(SealStatus.Stored, harness.Seal(1, second, out _));
        Assert.Equal(SealStatus.Present, harness.Seal(1, first, out _));
        Assert.Equal(MissReason.None, harness.Get(1));
        Assert.Equal(512, harness.Arena.UsedBytes);
    }

    [Fact]
    public async Task Delete_LeasedBlock_LeavesTheReaderItsBytes()
    {
        await using var harness = new EngineHarness();
        harness.Put(1);
        harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(1), out BlockLease lease);
        Assert.True(harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(1)));
        Assert.Equal(MissReason.Deleted, harness.Get(1));
        for (int other = 100; other < 200; other++) harness.Put(other);
        harness.Verify(1, lease);
        Assert.Equal(100 * 512, harness.Arena.UsedBytes);
    }

    [Fact]
    public async Task Seal_Overwrite_ReplacesAndLeavesReadersTheOldBytes()
    {
        await using var harness = new EngineHarness();
        harness.Put(1, version: 1);
        harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(1), out BlockLease old);
        Assert.Equal(PutBegin.Reserved, harness.Put(1, length: 900, version: 2, overwrite: true));
        harness.Verify(1, old, version: 1);
        Assert.Equal(MissReason.None, harness.Get(1, version: 2));
        Assert.Equal(1, harness.Engine.Count(harness.Namespace));
    }

    [Fact]
    public async Task TryBeginPut_AllLeasedOrPinned_EvictsNothing()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 3 });
        for (int number = 0; number < 3; number++) harness.Put(number);
        harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(0), out BlockLease first);
        harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(1), out BlockLease second);
        Assert.True(harness.Engine.Pin(harness.Namespace, EngineHarness.IdOf(2),
            harness.Clock.GetUtcNow().ToUnixTimeMilliseconds() + 1000));
        Assert.Equal(PutBegin.HostFull, harness.Put(3));
        ValueTask<bool> room = harness.Engine.WaitForRoomAsync(512, EngineHarness.Guard);
        Assert.False(room.IsCompleted);
        harness.Engine.Release(second);
        Assert.True(await room);
        Assert.Equal(PutBegin.Reserved, harness.Put(3));
        Assert.Equal(MissReason.Evicted, harness.Get(1));
        Assert.Equal(MissReason.None, harness.Get(2));
        harness.Verify(0, first);
    }

    [Fact]
    public async Task WaitForRoomAsync_DeadlinePasses_SaysFalse()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 1 });
        harness.Begin(0, out Reservation reservation);
        ValueTask<bool> room = harness.Engine.WaitForRoomAsync(512, TimeSpan.FromSeconds(1));
        harness.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.False(await room);
        Assert.False(await harness.Engine.WaitForRoomAsync(int.MaxValue, EngineHarness.Guard));
        harness.Engine.Abort(reservation);
    }

    [Fact]
    public async Task Pin_TimeRunsOut_BlockMayGoAgain()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 1 });
        harness.Put(0);
        harness.Engine.Pin(harness.Namespace, EngineHarness.IdOf(0), harness.Clock.GetUtcNow().ToUnixTimeMilliseconds() + 1000);
        Assert.Equal(1, harness.Engine.Stats.PinnedBlocks);
        Assert.Equal(PutBegin.HostFull, harness.Put(1));
        harness.Clock.Advance(TimeSpan.FromSeconds(1));
        harness.Engine.Sweeper.Step();
        Assert.Equal(0, harness.Engine.Stats.PinnedBlocks);
        Assert.Equal(PutBegin.Reserved, harness.Put(1));
        Assert.False(harness.Engine.Unpin(harness.Namespace, EngineHarness.IdOf(1)));
    }

    [Fact]
    public async Task Expiry_TimeRunsOut_BlockGoesOnAccessAndBySweep()
    {
        await using var harness = new EngineHarness();
        long now = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds();
        for (int number = 0; number < 10; number++) harness.Put(number, expiry: now + 1000);
        harness.Engine.SetExpiry(harness.Namespace, EngineHarness.IdOf(9), 0);
        harness.Clock.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Equal(MissReason.None, harness.Get(0));
        harness.Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(MissReason.Expired, harness.Get(0));
        Assert.Equal(9, harness.Engine.Count(harness.Namespace));
        harness.Engine.Sweeper.Step();
        Assert.Equal(1, harness.Engine.Count(harness.Namespace));
        Assert.Equal(MissReason.None, harness.Get(9));
        Assert.Equal(512, harness.Arena.UsedBytes);
    }

    [Fact]
    public async Task Prefix_GapOrExpiry_CountsUpToIt()
    {
        await using var harness = new EngineHarness(arenaBytes: 4 << 20);
        BlockId[] ids = [.. Enumerable.Range(0, 1000).Select(EngineHarness.IdOf)];
        for (int number = 0; number < 1000; number++)
        {
            if (number != 700) harness.Put(number);
        }

        var tiers = new TierSet[1000];
        Assert.Equal(700, harness.Engine.Prefix(harness.Namespace, ids, tiers, touch: true));
        Assert.All(tiers[..700], tier => Assert.Equal(TierSet.Host, tier));
        harness.Put(700);
        Assert.Equal(1000, harness.Engine.Prefix(harness.Namespace, ids, [], touch: false));
        harness.Engine.SetExpiry(harness.Namespace, ids[300], 1);
        Assert.Equal(300, harness.Engine.Prefix(harness.Namespace, ids, [], touch: false));
        Assert.Equal(0, harness.Engine.Prefix(harness.Namespace, [], [], touch: false));
    }

    [Fact]
    public async Task Scan_WhileOthersComeAndGo_SeesWhatStaysOnce()
    {
        await using var harness = new EngineHarness();
        ushort other = harness.Engine.OpenNamespace(new NamespaceDescriptor("other", Profiles.Opaque)).Value;
        for (int number = 0; number < 300; number++) harness.Put(number);
        var seen = new List<BlockId>();
        var page = new BlockId[7];
        long cursor = 0;
        int round = 0;
        do
        {
            cursor = harness.Engine.Scan(harness.Namespace, cursor, page, out int found);
            seen.AddRange(page[..found]);
            harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(200 + (round++ % 100)));
            harness.Put(1000 + round);
        }
        while (cursor != 0);

        for (int number = 0; number < 200; number++) Assert.Single(seen, EngineHarness.IdOf(number));
        Assert.Equal(0, harness.Engine.Scan(other, 0, page, out int none));
        Assert.Equal(0, none);
        Assert.True(harness.Engine.TryPickRandom(harness.Namespace, out BlockId picked));
        Assert.Equal(TierSet.Host, harness.Engine.Describe(harness.Namespace, picked).Tiers);
        Assert.False(harness.Engine.TryPickRandom(other, out _));
    }

    [Fact]
    public async Task Clear_Namespace_LeavesOthersAlone()
    {
        await using var harness = new EngineHarness();
        ushort other = harness.Engine.OpenNamespace(new NamespaceDescriptor("other", Profiles.Opaque)).Value;
        for (int number = 0; number < 50; number++) harness.Put(number);
        var request = new PutRequest { Namespace = other, Id = EngineHarness.IdOf(7), Key = "k"u8, Length = 5 };
        Assert.True(harness.Engine.TryBeginPut(request, out _, out Reservation reservation));
        harness.Engine.Seal(reservation, 0, out _);
        Assert.Equal(50, harness.Engine.Clear(harness.Namespace));
        Assert.Equal((0, 1), (harness.Engine.Count(harness.Namespace), harness.Engine.Count(other)));
        Assert.Equal(MissReason.Deleted, harness.Get(7));
    }

    [Fact]
    public async Task CopyKey_PresentBlock_GivesItsKey()
    {
        await using var harness = new EngineHarness();
        harness.Put(17);
        var key = new byte[512];
        int length = harness.Engine.CopyKey(harness.Namespace, EngineHarness.IdOf(17), key);
        Assert.Equal(EngineHarness.KeyOf(17), key[..length]);
        Assert.Equal(length, harness.Engine.CopyKey(harness.Namespace, EngineHarness.IdOf(17), []));
        Assert.Equal(-1, harness.Engine.CopyKey(harness.Namespace, EngineHarness.IdOf(18), key));
    }

    [Fact]
    public async Task OpenNamespace_SameNameOtherProfile_NamesTheField()
    {
        await using var harness = new EngineHarness();
        var first = new NamespaceDescriptor("t", Profiles.Llama31_8B);
        var second = new NamespaceDescriptor("t", Profiles.Llama31_8B with { BlockTokens = 32 });
        ushort handle = harness.Engine.OpenNamespace(first).Value;
        Assert.Equal(handle, harness.Engine.OpenNamespace(first).Value);
        KvError? error = harness.Engine.OpenNamespace(second).Error;
        Assert.Equal(ErrorCode.NamespaceMismatch, error?.Code);
        Assert.Contains("blockTokens", error!.Field, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ledger_MissesOfEveryKind_AreCountedByReason()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 2 });
        harness.Put(1);
        harness.Put(2);
        harness.Put(3);
        harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(2));
        Assert.Equal(MissReason.Evicted, harness.Get(1));
        Assert.Equal(MissReason.Deleted, harness.Get(2));
        Assert.Equal(MissReason.NeverStored, harness.Get(4));
        IReadOnlyList<long> misses = harness.Engine.Stats.Misses;
        Assert.Equal(1, misses[(int)MissReason.Evicted]);
        Assert.Equal(1, misses[(int)MissReason.Deleted]);
        Assert.Equal(1, misses[(int)MissReason.NeverStored]);
        Assert.Equal(1, harness.Engine.Stats.GhostHits);
    }
}
