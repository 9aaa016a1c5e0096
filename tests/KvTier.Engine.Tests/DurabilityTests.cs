using KvTier.Testing;

namespace KvTier.Engine.Tests;

/// <summary>What an acknowledgement of durability may not promise, and what may not come back after it.</summary>
public sealed class DurabilityTests
{
    private const int Segment = 64 << 10;

    [Fact]
    public async Task Seal_OverwriteExpiresBeforeItIsWritten_OldValueNeverComesBack()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(log: log))
        {
            harness.Put(1);
            await harness.FlushAsync();
            long expiry = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds() + 50;
            harness.Put(1, out long ticket, version: 1, overwrite: true, expiry: expiry);
            harness.Clock.Advance(TimeSpan.FromMilliseconds(100));
            Assert.Equal(MissReason.Expired, harness.Get(1));
            await harness.FlushAsync();
            Assert.Null(await harness.Engine.WaitDurableAsync(ticket, TimeSpan.Zero));
        }

        log.Crash();
        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.NotEqual(MissReason.None, (await again.GetAsync(1)).Reason);
    }

    [Fact]
    public async Task TryBeginPut_PresentBlockWhoseRecordWentWithItsSegment_IsWrittenAgain()
    {
        var log = new FakeLog(Segment, 3 * Segment);
        await using (var harness = new EngineHarness(log: log))
        {
            for (int number = 0; number < 300; number++)
            {
                harness.Put(number);
                await harness.FlushAsync();
            }

            Assert.False(harness.Describe(0).Durable);
            Assert.Equal(MissReason.None, harness.Get(0));
            Assert.Equal(PutBegin.Present, harness.Put(0));
            await harness.FlushAsync();
            Assert.Null(await harness.Engine.WaitDurableAsync(harness.Engine.CurrentTicket, TimeSpan.Zero));
            Assert.True(harness.Describe(0).Durable);
        }

        log.Crash();
        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(MissReason.None, (await again.GetAsync(0)).Reason);
    }

    [Fact]
    public async Task LostBlocks_BlockEvictedWhileTheLogRefused_SaysSoAfterTheWaitEndsWell()
    {
        var log = new FakeLog { RefuseAppends = LogAppendStatus.DiskFull };
        await using var harness = new EngineHarness(log: log);
        long before = harness.Engine.LostBlocks;
        harness.Put(0, 200_000);
        for (int steps = 0; steps < 4; steps++)
        {
            await harness.Engine.Writer!.StepAsync();
            harness.Clock.Advance(TimeSpan.FromSeconds(1));
        }

        for (int number = 1; number < 8; number++) harness.Put(number, 200_000);
        Assert.Equal(MissReason.Evicted, harness.Get(0));
        log.RefuseAppends = null;
        harness.Clock.Advance(TimeSpan.FromSeconds(2));
        await harness.FlushAsync();
        Assert.Null(await harness.Engine.WaitDurableAsync(harness.Engine.CurrentTicket, TimeSpan.Zero));
        Assert.True(harness.Engine.LostBlocks > before);
    }

    [Fact]
    public async Task SetExpiry_ManyTimesWhileTheLogRefuses_QueueStaysBoundedAndTheLastOneCounts()
    {
        var log = new FakeLog();
        long last = 0;
        await using (var harness = new EngineHarness(log: log))
        {
            for (int number = 0; number < 10; number++) harness.Put(number);
            await harness.FlushAsync();
            log.RefuseAppends = LogAppendStatus.DiskFull;
            long first = 0;
            for (int i = 1; i <= 100_000; i++)
            {
                last = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds() + 1_000_000 + i;
                Assert.True(harness.Engine.SetExpiry(harness.Namespace, EngineHarness.IdOf(i % 10), last));
                if (i == 1) first = harness.Engine.CurrentTicket;
                if (i % 1000 == 0) await harness.Engine.Writer!.StepAsync();
            }

            Assert.InRange(harness.Engine.State.Ops.Last - harness.Engine.State.Ops.Durable, 1, 8192);
            log.RefuseAppends = null;
            ValueTask<KvError?> wait = harness.Engine.WaitDurableAsync(first, EngineHarness.Guard);
            harness.Clock.Advance(TimeSpan.FromSeconds(2));
            await harness.FlushAsync();
            Assert.NotNull(await wait);
            Assert.Null(await harness.Engine.WaitDurableAsync(first, TimeSpan.Zero));
        }

        log.Crash();
        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(last, again.Describe(0).ExpiryUnixMs);
    }

    [Fact]
    public async Task Put_ManyBlocksWhileTheLogRefuses_QueueStaysBounded()
    {
        var log = new FakeLog { RefuseAppends = LogAppendStatus.DiskFull };
        await using var harness = new EngineHarness(new EngineOptions { LogRefusedGraceMs = 0, HostBlocksMax = 100 }, log);
        harness.Put(0);
        await harness.Engine.Writer!.StepAsync();
        await harness.Engine.Writer.StepAsync();
        for (int number = 1; number < 60_000; number++)
        {
            // The first one is used again and again, so that its change stays at the head.
            Assert.Equal(MissReason.None, harness.Get(0));
            Assert.Equal(PutBegin.Reserved, harness.Put(number));
            if (number % 500 == 0) await harness.Engine.Writer.StepAsync();
        }

        Assert.InRange(harness.Engine.State.Ops.Last - harness.Engine.State.Ops.Durable, 100, 8192);
        log.RefuseAppends = null;
        harness.Clock.Advance(TimeSpan.FromSeconds(2));
        await harness.FlushAsync();
        Assert.True(harness.Describe(0).Durable);
    }

    [Fact]
    public async Task LeaseAsync_CallersGaveUpBehindAHangingDevice_QueuedReadsLetGoOfTheirSlots()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(new EngineOptions { SsdReadsMax = 2, HostBlocksMax = 64 }, log);
        for (int number = 0; number < 128; number++)
        {
            harness.Put(number);
            await harness.FlushAsync();
        }

        var held = new TaskCompletionSource();
        log.HoldReads = held;
        var calls = new List<Task<LeaseResult>>();
        for (int number = 0; number < 32; number++)
            calls.Add(harness.Engine.LeaseAsync(harness.Namespace, EngineHarness.IdOf(number), TimeSpan.FromSeconds(1)).AsTask());
        harness.Clock.Advance(TimeSpan.FromSeconds(2));
        try
        {
            Assert.All(await Task.WhenAll(calls), result => Assert.Equal(MissReason.Deadline, result.Reason));
            Assert.Equal(2, log.Reads);
            Assert.Equal(62 - 30, harness.Engine.Stats.HostBlocks);
            for (int number = 200; number < 230; number++) Assert.Equal(PutBegin.Reserved, harness.Put(number));
            Assert.Equal(62, harness.Engine.Stats.HostBlocks);
        }
        finally
        {
            log.HoldReads = null;
            held.SetResult();
        }

        Assert.Equal(MissReason.None, (await harness.GetAsync(20)).Reason);
    }

    [Fact]
    public async Task LeaseAsync_DeviceFails_IsCountedByItselfAndReported()
    {
        var log = new FakeLog { OnRead = () => LogReadStatus.IoError };
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 1 }, log);
        var told = new List<long>();
        harness.Engine.OnReadError = told.Add;
        harness.Put(1);
        await harness.FlushAsync();
        harness.Put(2);
        await harness.FlushAsync();
        Assert.Equal(MissReason.Deadline, (await harness.GetAsync(1)).Reason);
        Assert.Equal(1, harness.Engine.Stats.SsdReadErrors);
        Assert.Equal([1L], told);
        log.OnRead = null;
        Assert.Equal(MissReason.None, (await harness.GetAsync(1)).Reason);
    }

    [Fact]
    public async Task Recover_PinnedBlock_IsHereButNotPinned()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(log: log))
        {
            harness.Put(1);
            long until = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds() + 60_000;
            Assert.True(harness.Engine.Pin(harness.Namespace, EngineHarness.IdOf(1), until));
            await harness.FlushAsync();
            Assert.Equal(1, harness.Engine.Stats.PinnedBlocks);
        }

        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal((true, 0L), (again.Describe(1).Durable, again.Describe(1).PinnedUntilUnixMs));
    }
}
