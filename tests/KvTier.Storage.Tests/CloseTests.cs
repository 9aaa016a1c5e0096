using KvTier.Storage.Device;
using KvTier.Testing;

namespace KvTier.Storage.Tests;

/// <summary>Closing a log whose device hangs: given up at a deadline, and nothing is freed that the device may still use.</summary>
public sealed class CloseTests : IDisposable
{
    private static readonly TimeSpan guard = TimeSpan.FromSeconds(60);
    private readonly string directory = LogFixture.NewDirectory();
    private readonly ManualResetEventSlim hung = new();
    private readonly ManualResetEventSlim release = new();
    private readonly ManualTimeProvider clock = new();

    [Fact]
    public async Task DisposeAsync_WriteHangs_GivesUpAtItsDeadlineAndIsCounted()
    {
        var store = new FaultyStore(directory) { OnWrite = Hang };
        BlockLog log = Open(store);
        await AppendAsync(log, 1);
        await GiveUpAsync(log);
        Assert.Equal(ErrorCode.IoError, log.Status.Fault?.Code);
        release.Set();
        await log.Closed.WaitAsync(guard, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task DisposeAsync_SyncHangs_GivesUpAtItsDeadlineAndLeavesNoCleanMark()
    {
        var store = new FaultyStore(directory);
        BlockLog log = Open(store);
        store.OnSync = Hang;
        await AppendAsync(log, 1);
        await GiveUpAsync(log);
        release.Set();
        await log.Closed.WaitAsync(guard, TestContext.Current.CancellationToken);
        await using LogFixture again = LogFixture.Open(LogFixture.SmallOptions(directory));
        Assert.False(again.Summary.Clean);
    }

    [Fact]
    public async Task DisposeAsync_ReadHangs_GivesUpAtItsDeadline()
    {
        var store = new FaultyStore(directory);
        BlockLog log = Open(store);
        Stored stored = await AppendAsync(log, 1);
        Assert.Null(await log.CommitAsync());
        store.OnRead = Hang;
        var buffer = new AlignedBuffer(stored.Record.Payload.Length);
        Task<LogReadResult> read = log.ReadAsync(new LogRead
        {
            Address = stored.Address,
            Id = stored.Record.Id,
            Length = stored.Record.Payload.Length,
            Destination = buffer.Memory,
        }).AsTask();
        await GiveUpAsync(log);
        release.Set();
        Assert.Equal(LogReadStatus.Ok, (await read.WaitAsync(guard, TestContext.Current.CancellationToken)).Status);
        await log.Closed.WaitAsync(guard, TestContext.Current.CancellationToken);
        buffer.Free();
    }

    [Fact]
    public async Task DisposeAsync_WriteComesBackAfterItWasGivenUp_StillFindsItsBytes()
    {
        var store = new FaultyStore(directory) { OnWrite = Hang };
        BlockLog log = Open(store);
        Stored stored = await AppendAsync(log, 1);
        await GiveUpAsync(log);
        List<byte[]> others = TakeFreedMemory();
        release.Set();
        await log.Closed.WaitAsync(guard, TestContext.Current.CancellationToken);
        await using LogFixture again = LogFixture.Open(LogFixture.SmallOptions(directory));
        LogFixture.AssertSame([stored], again.Recovered);
        await again.AssertReadsAsync([stored]);
        GC.KeepAlive(others);
    }

    public void Dispose()
    {
        release.Set();
        hung.Dispose();
        release.Dispose();
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>Collects what is free and writes over it, with pinned arrays of the size of a page too.</summary>
    private static List<byte[]> TakeFreedMemory()
    {
        for (int i = 0; i < 3; i++) GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
        var taken = new List<byte[]>();
        for (int i = 0; i < 64; i++)
        {
            foreach (bool pinned in new[] { false, true })
            {
                byte[] one = GC.AllocateUninitializedArray<byte>(64 << 10, pinned);
                one.AsSpan().Fill(0xA5);
                taken.Add(one);
            }
        }

        return taken;
    }

    private static async Task<Stored> AppendAsync(BlockLog log, int seed)
    {
        LogRecord record = LogFixture.Block(seed, 50_000);
        LogAppendResult result = await log.AppendAsync(record);
        Assert.Equal(LogAppendStatus.Appended, result.Status);
        return new Stored(record, result.Address);
    }

    private BlockLog Open(ISegmentStore store)
    {
        BlockLog log = BlockLog.Open(LogFixture.SmallOptions(directory), clock, store).Value;
        log.Recover(new ListSink());
        return log;
    }

    private int Hang()
    {
        hung.Set();
        release.Wait();
        return 0;
    }

    /// <summary>Closes the log while the device hangs; only the clock ends that.</summary>
    private async Task GiveUpAsync(BlockLog log)
    {
        long before = BlockLog.AbandonedLogs;
        Task closing = log.DisposeAsync().AsTask();
        Assert.True(hung.Wait(guard, TestContext.Current.CancellationToken), "the device was asked for nothing");
        TimeSpan deadline = LogFixture.SmallOptions(directory).CloseTimeout;
        clock.Advance(deadline - TimeSpan.FromMilliseconds(1));
        Assert.False(closing.IsCompleted);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        await closing.WaitAsync(guard, TestContext.Current.CancellationToken);
        Assert.True(log.IsAbandoned);
        Assert.Equal(before + 1, BlockLog.AbandonedLogs);
    }
}
