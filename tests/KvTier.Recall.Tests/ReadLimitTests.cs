namespace KvTier.Recall.Tests;

/// <summary>More to read than one recall may.</summary>
public class ReadLimitTests : LeakGated
{
    [Fact]
    public async Task RecallAsync_MoreToReadThanAnArrayHolds_IsRefusedAndTheNextOneIsExact()
    {
        ModelProfile profile = Shapes.Gqa(layers: 1, kvHeads: 1, headDim: 512, blockTokens: 64);
        await using RecallHarness silo = await RecallHarness.StartAsync(profile);
        var context = new KvContext(profile, 640, seed: 1);
        DigestSpec spec = Shapes.Mean with { ChunkTokens = 64 };
        List<BlockId> ids = await silo.AddAsync("s", context, spec);
        await silo.DemoteAsync(ids);
        RecallRequest one = Requests.Attend(silo, Shapes.All(spec), queryHeads: 1, layer: 0);

        // 2.5 MiB an item, of which the hot set holds 1 MiB in all.
        Result<RecallAnswer> refused = await silo.Recall.RecallAsync(
            one with { Items = [.. Enumerable.Repeat(one.Items[0], 1024)] }, RecallHarness.Guard);

        Assert.Equal((ErrorCode.LimitExceeded, "recall.readBytes"), (refused.Error?.Code, refused.Error?.Field));
        using RecallAnswer answer = await silo.RecallAsync(one);
        Assert.Empty(answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], one, one.Items[0], context, silo.Layout, tolerance: 1e-4);
    }

    [Fact]
    public async Task RecallAsync_MemoryForReadsIsShort_WaitsForOthersUntilItsDeadlineAndGivesBack()
    {
        ModelProfile profile = Shapes.Gqa(layers: 1, kvHeads: 1, headDim: 512, blockTokens: 64);
        var clock = new ManualTimeProvider();
        await using RecallHarness silo = await RecallHarness.StartAsync(
            profile, new RecallOptions { HotSetBytes = 0, Workers = 2, ReadBytesMax = 3 << 20 }, time: clock);
        var context = new KvContext(profile, 640, seed: 1);
        DigestSpec spec = Shapes.Mean with { ChunkTokens = 64 };
        await silo.DemoteAsync(await silo.AddAsync("s", context, spec));

        // 2.5 MiB of rows.
        RecallRequest one = Requests.Attend(silo, Shapes.All(spec), queryHeads: 1, layer: 0);
        for (int i = 0; i < 3; i++)
        {
            using RecallAnswer answer = await silo.RecallAsync(one);
            Answers.AssertAttends(answer, answer.Items[0], one, one.Items[0], context, silo.Layout, tolerance: 1e-4);
            Assert.Equal(0, silo.Recall.ReadMemory.Taken);
        }

        Assert.Null(await silo.Recall.ReadMemory.TakeAsync(1 << 20, new Deadline(clock, RecallHarness.Guard)));
        int timers = clock.PendingTimers;
        Task<Result<RecallAnswer>> late = silo.Recall.RecallAsync(one, TimeSpan.FromSeconds(1)).AsTask();

        // It is in the queue a moment before it waits.
        await UntilAsync(() => silo.Recall.ReadMemory.Waiting == 1 && clock.PendingTimers == timers + 1);
        clock.Advance(TimeSpan.FromSeconds(1));
        KvError error = (await late.WaitAsync(RecallHarness.Guard, TestContext.Current.CancellationToken)).Error!;
        Assert.Equal((ErrorCode.DeadlineExceeded, "recall.readBytes"), (error.Code, error.Field));
        Assert.Contains($"{3 << 20}", error.Message, StringComparison.Ordinal);

        Task<Result<RecallAnswer>> next = silo.Recall.RecallAsync(one, RecallHarness.Guard).AsTask();
        await UntilAsync(() => silo.Recall.ReadMemory.Waiting == 1);
        silo.Recall.ReadMemory.Return(1 << 20);
        using (RecallAnswer answer = (await next.WaitAsync(RecallHarness.Guard, TestContext.Current.CancellationToken)).Value)
            Answers.AssertAttends(answer, answer.Items[0], one, one.Items[0], context, silo.Layout, tolerance: 1e-4);
        Result<RecallAnswer> never = await silo.Recall.RecallAsync(one with { Items = [one.Items[0], one.Items[0]] }, RecallHarness.Guard);
        Assert.Equal((ErrorCode.LimitExceeded, "recall.readBytes"), (never.Error?.Code, never.Error?.Field));
        Assert.Equal(0, silo.Recall.ReadMemory.Taken);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var late = new CancellationTokenSource(RecallHarness.Guard);
        while (!condition()) await Task.Delay(1, late.Token);
    }
}
