using System.Collections.Concurrent;

namespace KvTier.Storage.Tests;

public sealed class ConcurrencyTests
{
    [Fact]
    public async Task ReadAsync_BesideAppendsAndDrops_GivesTheRightBytesOrGone()
    {
        await using LogFixture fixture = LogFixture.Open();
        var committed = new ConcurrentQueue<Stored>();
        using var stop = new CancellationTokenSource();
        long good = 0;
        long gone = 0;
        Task[] readers = [.. Enumerable.Range(0, 4).Select(seed => Task.Run(async () =>
        {
            var random = new Random(seed);
            while (!stop.IsCancellationRequested || Interlocked.Read(ref good) == 0)
            {
                Stored[] all = [.. committed];
                if (all.Length == 0) await Task.Yield();
                else if (await Check(fixture, all[random.Next(all.Length)])) Interlocked.Increment(ref good);
                else Interlocked.Increment(ref gone);
            }
        }))];
        var pending = new List<Stored>();
        for (int i = 0; i < 600; i++)
        {
            LogRecord record = LogFixture.Block(i, i % 7 * 15_000);
            LogAppendResult result = await fixture.Log.AppendAsync(record);
            if (result.Status == LogAppendStatus.CapReached)
            {
                Assert.Null(await fixture.Log.CommitAsync());
                fixture.Log.DropOldestSegment();
                continue;
            }

            pending.Add(new Stored(record, result.Address));
            if (i % 10 != 9) continue;
            Assert.Null(await fixture.Log.CommitAsync());
            pending.ForEach(committed.Enqueue);
            pending.Clear();
        }

        await stop.CancelAsync();
        await Task.WhenAll(readers);
        Assert.True(good > 0);
        Assert.True(fixture.Log.Status.BeginAddress > fixture.Log.Status.SegmentBytes);
        Assert.Equal(LogReadStatus.Gone, await fixture.ReadStatusAsync(committed.First()));
    }

    [Fact]
    public async Task CommitAsync_ManyAtOnce_AllCompleteAndCoverWhatWasAppendedBefore()
    {
        await using LogFixture fixture = LogFixture.Open();
        var commits = new List<(Task<KvError?> Commit, long Tail)>();
        for (int i = 0; i < 100; i++)
        {
            await fixture.AppendAsync(LogFixture.Block(i, 5000));
            commits.Add((fixture.Log.CommitAsync().AsTask(), fixture.Log.Status.TailAddress));
        }

        foreach ((Task<KvError?> commit, long tail) in commits)
        {
            Assert.Null(await commit.WaitAsync(TimeSpan.FromSeconds(60)));
            Assert.True(fixture.Log.Status.DurableAddress >= tail);
        }
    }

    private static async Task<bool> Check(LogFixture fixture, Stored stored)
    {
        int length = stored.Record.Payload.Length;
        BlockRange[] ranges = [new(0, length / 3), new(length / 2, length - (length / 2))];
        var sink = new PackingSink(ranges.Sum(range => range.Length));
        if ((await fixture.Log.ReadAsync(LogFixture.RangesOf(stored, ranges, sink))).Status == LogReadStatus.Ok)
        {
            Assert.True(sink.Bytes.AsSpan(0, length / 3).SequenceEqual(stored.Record.Payload.Span[..(length / 3)]));
            Assert.True(sink.Bytes.AsSpan(length / 3).SequenceEqual(stored.Record.Payload.Span[(length / 2)..]));
        }

        LogReadStatus status = await fixture.ReadStatusAsync(stored);
        Assert.True(status is LogReadStatus.Ok or LogReadStatus.Gone, $"{status}");
        return status == LogReadStatus.Ok;
    }
}
