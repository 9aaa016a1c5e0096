namespace KvTier.Engine.Tests;

public sealed class WriteBehindTests
{
    private static readonly KvError broken = new(ErrorCode.IoError, "device", "gone");

    [Fact]
    public async Task WaitDurableAsync_ManyWaiters_WakeWithOneCommit()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(log: log);
        var waits = new List<Task<KvError?>>();
        for (int number = 0; number < 50; number++)
        {
            harness.Put(number, out long ticket);
            waits.Add(harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard).AsTask());
        }

        Assert.DoesNotContain(waits, wait => wait.IsCompleted);
        Assert.Equal(50, harness.Engine.Stats.DirtyBlocks);
        await harness.FlushAsync();
        Assert.All(await Task.WhenAll(waits), Assert.Null);
        Assert.Equal(1, log.Commits);
        Assert.Equal((0, 50), (harness.Engine.Stats.DirtyBlocks, harness.Engine.Stats.SsdBlocks));
        Assert.True(harness.Describe(7).Durable);
        Assert.Null(await harness.Engine.WaitDurableAsync(harness.Engine.CurrentTicket, TimeSpan.Zero));
    }

    [Fact]
    public async Task StepAsync_CommitPending_AppendsTheNextRound()
    {
        var log = new FakeLog { HoldCommits = new TaskCompletionSource() };
        await using var harness = new EngineHarness(log: log);
        harness.Put(1, out long first);
        await harness.Engine.Writer!.StepAsync();
        harness.Put(2, out long second);
        await harness.Engine.Writer.StepAsync();
        Assert.Equal(2, log.Records.Count);
        ValueTask<KvError?> durable = harness.Engine.WaitDurableAsync(second, EngineHarness.Guard);
        Assert.False(harness.Describe(1).Durable);
        log.HoldCommits.SetResult();
        log.HoldCommits = null;
        await harness.FlushAsync();
        Assert.Null(await durable);
        Assert.True(first < second);
        Assert.Equal(2, log.Commits);
    }

    [Fact]
    public async Task WaitDurableAsync_DeadlineOrNoLog_SaysWhy()
    {
        await using var harness = new EngineHarness(log: new FakeLog());
        harness.Put(1, out long ticket);
        ValueTask<KvError?> wait = harness.Engine.WaitDurableAsync(ticket, TimeSpan.FromSeconds(1));
        harness.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(ErrorCode.DeadlineExceeded, (await wait)?.Code);
    }

    [Fact]
    public async Task WaitDurableAsync_NoLog_IsUnsupported()
    {
        await using var plain = new EngineHarness();
        Assert.Equal(ErrorCode.Unsupported, (await plain.Engine.WaitDurableAsync(0, TimeSpan.Zero))?.Code);
        Assert.Null(await plain.Engine.DrainAsync(EngineHarness.Guard));
    }

    [Theory]
    [InlineData((byte)LogAppendStatus.DiskFull, ErrorCode.DiskFull)]
    [InlineData((byte)LogAppendStatus.IoError, ErrorCode.IoError)]
    public async Task StepAsync_LogRefuses_WaitersHearAndBlocksAreWrittenLater(byte refusal, ErrorCode code)
    {
        var log = new FakeLog { RefuseAppends = (LogAppendStatus)refusal };
        await using var harness = new EngineHarness(log: log);
        harness.Put(1, out long ticket);
        ValueTask<KvError?> wait = harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard);
        await harness.Engine.Writer!.StepAsync();
        Assert.Equal(code, (await wait)?.Code);
        Assert.Equal(MissReason.None, harness.Get(1));
        harness.Put(2, out ticket);
        Assert.Equal(code, (await harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard))?.Code);
        Assert.Equal(2, harness.Engine.Stats.DirtyBlocks);
        log.RefuseAppends = null;
        harness.Clock.Advance(TimeSpan.FromSeconds(1));
        await harness.FlushAsync();
        Assert.Null(await harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard));
        Assert.Equal(0, harness.Engine.Stats.DirtyBlocks);
        Assert.True(harness.Engine.Stats.LogFaults > 0);
    }

    [Fact]
    public async Task StepAsync_CommitFails_AppendsEverythingAgain()
    {
        var log = new FakeLog { RefuseCommits = broken };
        await using var harness = new EngineHarness(log: log);
        harness.Put(1, out long ticket);
        ValueTask<KvError?> wait = harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard);
        await harness.FlushAsync();
        Assert.Equal(broken, await wait);
        Assert.False(harness.Describe(1).Durable);
        log.RefuseCommits = null;
        harness.Clock.Advance(TimeSpan.FromSeconds(1));
        await harness.FlushAsync();
        Assert.True(harness.Describe(1).Durable);
        Assert.Equal(2, log.Records.Count);
    }

    [Fact]
    public async Task TryBeginPut_LogRefusesForLong_EvictsBlocksThatAreOnlyInMemory()
    {
        var log = new FakeLog { RefuseAppends = LogAppendStatus.DiskFull };
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 4 }, log);
        for (int number = 0; number < 4; number++) harness.Put(number);
        Assert.Equal(PutBegin.HostFull, harness.Put(4));
        await harness.Engine.Writer!.StepAsync();
        Assert.Equal(PutBegin.HostFull, harness.Put(4));
        harness.Clock.Advance(TimeSpan.FromSeconds(2));
        await harness.Engine.Writer.StepAsync();
        Assert.Equal(PutBegin.Reserved, harness.Put(4));
        Assert.Equal(MissReason.Evicted, harness.Get(0));
        Assert.Equal(1, harness.Engine.Stats.MemoryOnlyEvictions);
        log.RefuseAppends = null;
        harness.Clock.Advance(TimeSpan.FromSeconds(2));
        await harness.FlushAsync();
        Assert.Equal(4, log.Records.Count(record => record.Kind == LogRecordKind.Block));
        Assert.Equal(PutBegin.Reserved, harness.Put(5));
        Assert.Equal(1, harness.Engine.Stats.MemoryOnlyEvictions);
    }

    [Fact]
    public async Task Seal_OverwriteEvictedBeforeItWasWritten_OldRecordStaysVoid()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 1 }, log))
        {
            harness.Put(1, version: 1);
            await harness.FlushAsync();
            log.RefuseAppends = LogAppendStatus.DiskFull;
            harness.Engine.Touch(harness.Namespace, EngineHarness.IdOf(1));
            harness.Put(1, version: 2, overwrite: true);
            await harness.Engine.Writer!.StepAsync();
            harness.Clock.Advance(TimeSpan.FromSeconds(2));
            await harness.Engine.Writer.StepAsync();
            Assert.Equal(PutBegin.Reserved, harness.Put(2));
            Assert.Equal(MissReason.Evicted, harness.Get(1));
            log.RefuseAppends = null;
            harness.Clock.Advance(TimeSpan.FromSeconds(2));
            await harness.FlushAsync();
        }

        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(MissReason.Deleted, again.Get(1));
        Assert.Equal(MissReason.None, (await again.GetAsync(2)).Reason);
    }

    [Fact]
    public async Task Delete_BlockWaitingToBeWritten_LeavesNoRecord()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(log: log);
        harness.Put(1);
        harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(1));
        await harness.FlushAsync();
        Assert.Empty(log.Records);
        Assert.Equal(harness.Engine.CurrentTicket, harness.Engine.State.Ops.Durable);
    }

    [Fact]
    public async Task DrainAsync_DirtyBlocks_AllAreDurableAndPutsAreRefused()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(log: log);
        for (int number = 0; number < 2000; number++) harness.Put(number, length: 100);
        Assert.Null(await harness.Engine.DrainAsync(EngineHarness.Guard));
        Assert.Equal(2000, log.Records.Count);
        Assert.Equal(PutBegin.ShuttingDown, harness.Put(3000));
        Assert.Equal(MissReason.ShuttingDown, harness.Get(3000));
        Assert.Equal(MissReason.None, harness.Get(5));
    }

    [Fact]
    public async Task DrainAsync_LogRefuses_SaysWhatFailed()
    {
        var log = new FakeLog { RefuseAppends = LogAppendStatus.DiskFull };
        await using var harness = new EngineHarness(log: log);
        harness.Put(1);
        Assert.Equal(ErrorCode.DiskFull, (await harness.Engine.DrainAsync(EngineHarness.Guard))?.Code);
    }

    [Fact]
    public async Task Start_RealClock_WritesByItselfAndDrains()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(log: log, time: TimeProvider.System);
        harness.Engine.Start();
        for (int number = 0; number < 200; number++)
        {
            harness.Put(number, out long ticket);
            if (number % 50 == 0) Assert.Null(await harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard));
        }

        Assert.Null(await harness.Engine.DrainAsync(EngineHarness.Guard));
        Assert.Equal(200, log.Records.Count);
    }

    [Fact]
    public async Task WaitDurableAsync_ChangeAfterADrain_HearsAtOnceThatNobodyWritesAnyMore()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(log: log, time: TimeProvider.System);
        harness.Engine.Start();
        harness.Put(1);
        Assert.Null(await harness.Engine.DrainAsync(EngineHarness.Guard));
        harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(1));

        // The longest deadline there is: nothing but the end of the writer can end this wait.
        KvError? error = await harness.Engine.WaitDurableAsync(harness.Engine.CurrentTicket, TimeSpan.FromDays(1))
            .AsTask().WaitAsync(EngineHarness.Guard);
        Assert.Equal(ErrorCode.ShuttingDown, error?.Code);
    }
}
