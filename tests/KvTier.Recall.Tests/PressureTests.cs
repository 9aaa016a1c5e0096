using KvTier.Engine;

namespace KvTier.Recall.Tests;

/// <summary>Recall while the engine evicts, and while sequences grow.</summary>
public class PressureTests : LeakGated
{
    [Theory]
    [InlineData(0)]
    [InlineData(64 << 10)]
    public async Task RecallAsync_WhileBlocksAreEvicted_BytesAreRight(long hotSetBytes)
    {
        // Room for about a third of the sequence: other puts push its blocks out all the time.
        await using RecallHarness silo = await RecallHarness.StartAsync(
            options: new RecallOptions { HotSetBytes = hotSetBytes, Workers = 2 }, hostBytes: 512 << 10);
        var context = new KvContext(silo.Descriptor.Profile, 2000, seed: 1);
        await silo.AddAsync("s", context);
        using var stop = new CancellationTokenSource();
        Task pressure = Task.Run(async () =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
                await silo.PutAsync(new KvContext(silo.Descriptor.Profile, 160, seed: 1000 + (i % 40)).Blocks());
        });
        Task[] recalls = [.. Enumerable.Range(0, 3).Select(worker => Task.Run(async () =>
        {
            for (int step = 0; step < 40; step++)
            {
                RecallRequest request = Requests.Attend(silo, Shapes.Selector(200), layer: step % 2, seed: (worker * 100) + step);
                using RecallAnswer answer = await silo.RecallAsync(request);
                Assert.Empty(answer.Items[0].Missing);
                Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
            }
        }))];
        await Task.WhenAll(recalls);
        await stop.CancelAsync();
        await pressure;

        Assert.True(silo.Engine.Stats.HostEvictions > 0);
        Assert.True(silo.Recall.Stats.SsdBytes > 0);
        Assert.True(silo.Recall.Stats.HotBytes <= hotSetBytes);
        Assert.Equal(0, silo.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task AppendAsync_DuringRecalls_EachSeesAWholeSequence()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 640, seed: 1);
        List<BlockId> ids = await silo.PutAsync(context.Blocks());
        await silo.OpenAsync("s");
        await silo.AppendAsync("s", ids[..1], 16);
        Task append = Task.Run(async () =>
        {
            for (int block = 1; block < ids.Count; block++) await silo.AppendAsync("s", ids.GetRange(block, 1), 16);
        });
        var seen = new List<int>();
        do
        {
            RecallRequest request = Requests.Attend(silo, Shapes.All(), seed: seen.Count);
            using RecallAnswer answer = await silo.RecallAsync(request);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
            int units = answer.Items[0].Counts.Span[0];
            Assert.Equal(0, units % 2);
            seen.Add(units);
        }
        while (!append.IsCompleted);
        await append;
        Assert.Equal(seen.Order(), seen);
    }

    [Fact]
    public async Task RecallAsync_BlocksNeverPicked_AreCooledAndGoFirst()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(
            engine: new EngineOptions { MissLedgerEntries = 4096, HostBlocksMax = 9 });
        var context = new KvContext(silo.Descriptor.Profile, 128, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        await silo.FlushAsync();
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(8), layer: 0);
        RecallAnswer answer = await silo.RecallAsync(request);
        int[] picked = [.. Answers.UnitsOf(answer.Items[0], 0).Concat(Answers.UnitsOf(answer.Items[0], 1)).Select(unit => unit / 2)];
        for (int i = 1; i < PickHistory.CoolAfter; i++)
        {
            answer.Dispose();
            answer = await silo.RecallAsync(request);
        }

        answer.Dispose();
        // Most recently used of all but for the cooling.
        BlockId last = ids[Enumerable.Range(0, 8).First(block => !picked.Contains(block))];
        foreach (BlockPayload block in new KvContext(silo.Descriptor.Profile, 16 * 6, seed: 2).Blocks())
        {
            await silo.PutAsync(block);
            await silo.FlushAsync();
        }

        foreach (int block in picked) Assert.True(silo.Engine.Describe(silo.Namespace, ids[block]).Tiers.HasFlag(TierSet.Host));
        Assert.False(silo.Engine.Describe(silo.Namespace, last).Tiers.HasFlag(TierSet.Host));
    }
}
