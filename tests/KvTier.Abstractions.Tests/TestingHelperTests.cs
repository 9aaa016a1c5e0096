using KvTier.Testing;

namespace KvTier.Abstractions.Tests;

/// <summary>The helpers that other tests trust.</summary>
public sealed class TestingHelperTests
{
    [Fact]
    public void BlockBytes_AnyRange_EqualsItsPartOfTheWhole()
    {
        var id = new BlockId(0x123456789ABCDEF0, 42);
        byte[] whole = new byte[5000];
        BlockBytes.Fill(id, whole);
        for (int offset = 0; offset < 300; offset++)
        {
            byte[] part = new byte[700 + (offset % 13)];
            BlockBytes.Fill(id, part, offset);
            Assert.True(part.AsSpan().SequenceEqual(whole.AsSpan(offset, part.Length)), $"offset {offset}");
            Assert.True(BlockBytes.Verify(id, part, offset));
            Assert.Equal(whole[offset], BlockBytes.At(id, offset));
        }
    }

    [Fact]
    public void BlockBytes_WrongByteOtherBlockOrOtherPlace_IsFound()
    {
        var id = new BlockId(1, 2);
        byte[] bytes = new byte[1000];
        BlockBytes.Fill(id, bytes);
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] ^= 0x40;
            Assert.Equal(i, BlockBytes.FirstWrong(id, bytes));
            bytes[i] ^= 0x40;
        }

        Assert.False(BlockBytes.Verify(new BlockId(2, 1), bytes));
        Assert.False(BlockBytes.Verify(new BlockId(1, 3), bytes));
        Assert.False(BlockBytes.Verify(id, bytes, 8));
        Assert.False(BlockBytes.Verify(id, new byte[1000]));
    }

    [Fact]
    public void ManualTimeProvider_Advance_FiresTimersInOrderAtTheirTime()
    {
        var clock = new ManualTimeProvider();
        DateTimeOffset start = clock.GetUtcNow();
        var fired = new List<(string Name, double Seconds)>();
        TimerCallback Note(string name) => _ => fired.Add((name, (clock.GetUtcNow() - start).TotalSeconds));
        using ITimer late = clock.CreateTimer(Note("late"), null, TimeSpan.FromSeconds(5), Timeout.InfiniteTimeSpan);
        using ITimer often = clock.CreateTimer(Note("often"), null, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(2));
        using ITimer gone = clock.CreateTimer(Note("gone"), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
        gone.Dispose();
        long stamp = clock.GetTimestamp();
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal([("often", 2), ("often", 4), ("late", 5)], fired);
        Assert.Equal(TimeSpan.FromSeconds(5), clock.GetElapsedTime(stamp));
        Assert.Equal(1, clock.PendingTimers);
    }

    [Fact]
    public async Task ManualTimeProvider_CancellationAndDelay_FollowTheClock()
    {
        var clock = new ManualTimeProvider();
        using var source = new CancellationTokenSource(TimeSpan.FromSeconds(3), clock);
        Task delay = Task.Delay(TimeSpan.FromSeconds(3), clock);
        clock.Advance(TimeSpan.FromSeconds(2.9));
        Assert.False(source.IsCancellationRequested || delay.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(0.1));
        Assert.True(source.IsCancellationRequested);
        await delay;
    }

    [Fact]
    public void TempDirectory_Disposed_IsGone()
    {
        string path;
        using (var folder = new TempDirectory())
        {
            path = folder.FullPath;
            File.WriteAllText(folder["file"], "x");
        }

        Assert.False(Directory.Exists(path));
    }
}
