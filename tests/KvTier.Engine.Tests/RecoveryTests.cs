namespace KvTier.Engine.Tests;

public sealed class RecoveryTests
{
    private static readonly NamespaceDescriptor Values = new("resp", Profiles.Opaque);

    [Fact]
    public async Task Recover_AfterCrash_CommittedBlocksAreThereAndNewestWins()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(log: log))
        {
            for (int number = 0; number < 100; number++) harness.Put(number, length: number * 10, version: 1);
            await harness.FlushAsync();
            for (int number = 0; number < 10; number++) harness.Put(number, version: 2, overwrite: true);
            for (int number = 10; number < 20; number++) harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(number));
            await harness.FlushAsync();
            harness.Put(1000);
            harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(50));
            log.Crash();
        }

        await using var again = new EngineHarness(log: log);
        RecoverySummary? summary = again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(120, summary?.Records);
        Assert.Equal(90, again.Engine.Count(again.Namespace));
        for (int number = 0; number < 10; number++) Assert.Equal(MissReason.None, (await again.GetAsync(number, version: 2)).Reason);
        for (int number = 10; number < 20; number++) Assert.Equal(MissReason.Deleted, again.Get(number));
        for (int number = 20; number < 100; number++) Assert.Equal(MissReason.None, (await again.GetAsync(number, version: 1)).Reason);
        Assert.Equal(MissReason.NeverStored, again.Get(1000));
        Assert.Equal((90, 0), (again.Engine.Stats.SsdBlocks, again.Engine.Stats.DirtyBlocks));
        var key = new byte[64];
        Assert.Equal(EngineHarness.KeyOf(77), key[..again.Engine.CopyKey(again.Namespace, EngineHarness.IdOf(77), key)]);
    }

    [Fact]
    public async Task Recover_NewestValueDamaged_NoOlderValueIsServed()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(log: log, descriptor: Values))
        {
            for (int number = 0; number < 10; number++) harness.Put(number, version: 1);
            await harness.FlushAsync();
            harness.Put(3, version: 2, overwrite: true);
            await harness.FlushAsync();
            harness.Put(7, version: 2, overwrite: true);
            await harness.FlushAsync();
            log.Damage(EngineHarness.IdOf(3, Values));
        }

        await using (var again = new EngineHarness(log: log, descriptor: Values))
        {
            again.Engine.Recover([Values]);
            Assert.Equal(MissReason.Corrupt, again.Get(3));
            Assert.Equal(MissReason.None, (await again.GetAsync(7, version: 2)).Reason);
            Assert.Equal((1, 9), (again.Engine.Count(again.Namespace), again.Engine.Stats.DoubtfulValues));
            await again.FlushAsync();
        }

        // The damage may not be seen a second time: what was dropped stays away.
        log.DamageEnd = 0;
        await using var third = new EngineHarness(log: log, descriptor: Values);
        third.Engine.Recover([Values]);
        Assert.Equal(1, third.Engine.Count(third.Namespace));
    }

    [Fact]
    public async Task Recover_RecordDamaged_BlocksThatDoNotChangeStay()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(log: log))
        {
            for (int number = 0; number < 10; number++) harness.Put(number);
            await harness.FlushAsync();
            log.Damage(EngineHarness.IdOf(9));
        }

        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal((9, 0), (again.Engine.Count(again.Namespace), again.Engine.Stats.DoubtfulValues));
        for (int number = 0; number < 9; number++) Assert.Equal(MissReason.None, (await again.GetAsync(number)).Reason);
    }

    [Fact]
    public async Task Recover_ClearAndExpiry_AreAppliedInOrder()
    {
        var log = new FakeLog();
        long now;
        await using (var harness = new EngineHarness(log: log))
        {
            now = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds();
            for (int number = 0; number < 10; number++) harness.Put(number);
            await harness.FlushAsync();
            harness.Engine.Clear(harness.Namespace);
            for (int number = 5; number < 15; number++) harness.Put(number, expiry: number == 5 ? now + 500 : 0);
            await harness.FlushAsync();
            harness.Engine.SetExpiry(harness.Namespace, EngineHarness.IdOf(6), now + 700);
            harness.Engine.SetExpiry(harness.Namespace, EngineHarness.IdOf(5), 0);
            harness.Engine.SetExpiry(harness.Namespace, EngineHarness.IdOf(7), now + 100_000);
            await harness.FlushAsync();
        }

        await using var again = new EngineHarness(log: log);
        again.Clock.Advance(TimeSpan.FromSeconds(1));
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(MissReason.Deleted, again.Get(1));
        Assert.Equal(MissReason.None, (await again.GetAsync(5)).Reason);
        Assert.Equal(MissReason.Expired, again.Get(6));
        Assert.Equal(now + 100_000, again.Describe(7).ExpiryUnixMs);
        Assert.Equal(9, again.Engine.Count(again.Namespace));
    }

    [Fact]
    public async Task Recover_NewestRecordExpired_OlderOneStaysVoid()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(log: log))
        {
            long now = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds();
            harness.Put(1, version: 1);
            await harness.FlushAsync();
            harness.Put(1, version: 2, overwrite: true, expiry: now + 10);
            await harness.FlushAsync();
        }

        await using var again = new EngineHarness(log: log);
        again.Clock.Advance(TimeSpan.FromSeconds(1));
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(MissReason.Expired, again.Get(1));
    }

    [Fact]
    public async Task Recover_UnknownNamespace_IsCountedNotServed()
    {
        var log = new FakeLog();
        var other = new NamespaceDescriptor("other", Profiles.Opaque);
        await using (var harness = new EngineHarness(log: log))
        {
            ushort ns = harness.Engine.OpenNamespace(other).Value;
            var request = new PutRequest { Namespace = ns, Id = new BlockId(1, 2), Key = "k"u8, Length = 3 };
            Assert.True(harness.Engine.TryBeginPut(request, out _, out Reservation reservation));
            harness.Engine.Seal(reservation, 0, out _);
            harness.Put(1);
            await harness.FlushAsync();
        }

        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(1, again.Engine.Stats.UnknownNamespaceRecords);
        Assert.Equal(1, again.Engine.Stats.SsdBlocks);
    }
}
