using KvTier.Storage.Device;

namespace KvTier.Storage.Tests;

public sealed class FaultTests : IDisposable
{
    private static readonly TimeSpan Guard = TimeSpan.FromSeconds(60);
    private readonly string directory = LogFixture.NewDirectory();

    [Fact]
    public async Task AppendAsync_DiskFullWhenASegmentIsMade_IsRefusedAndWorksAgainWhenThereIsRoom()
    {
        var store = new FaultyStore(directory);
        LogOptions options = LogFixture.SmallOptions(directory);
        var stored = new List<Stored>();
        await using (LogFixture fixture = LogFixture.Open(options, store))
        {
            stored.Add(await fixture.AppendAsync(LogFixture.Block(1, 100_000)));
            store.OnCreate = () => Native.Enospc;
            LogAppendResult result;
            int seed = 2;
            while ((result = await fixture.Log.AppendAsync(LogFixture.Block(seed, 100_000))).Status == LogAppendStatus.Appended)
                stored.Add(new Stored(LogFixture.Block(seed++, 100_000), result.Address));
            Assert.Equal(LogAppendStatus.DiskFull, result.Status);
            Assert.Null(fixture.Log.Status.Fault);
            Assert.Null(await fixture.Log.CommitAsync());
            Assert.Equal(LogAppendStatus.DiskFull, (await fixture.Log.AppendAsync(LogFixture.Block(50, 600_000))).Status);
            store.OnCreate = () => 0;
            stored.Add(await fixture.AppendAsync(LogFixture.Block(50, 600_000)));
            Assert.Null(await fixture.Log.CommitAsync());
            await fixture.AssertReadsAsync(stored);
        }

        await using LogFixture again = LogFixture.Open(options);
        LogFixture.AssertSame(stored, again.Recovered);
    }

    [Fact]
    public async Task CommitAsync_WriteFails_ReportsIoErrorAndStaysFaultedAndARestartHasWhatWasCommitted()
    {
        var store = new FaultyStore(directory);
        LogOptions options = LogFixture.SmallOptions(directory);
        var stored = new List<Stored>();
        await using (LogFixture fixture = LogFixture.Open(options, store))
        {
            for (int i = 0; i < 5; i++) stored.Add(await fixture.AppendAsync(LogFixture.Block(i, 10_000)));
            Assert.Null(await fixture.Log.CommitAsync());
            store.OnWrite = () => Native.Eio;
            await fixture.AppendAsync(LogFixture.Block(6, 10_000));
            KvError error = (await fixture.Log.CommitAsync().AsTask().WaitAsync(Guard))!;
            Assert.Equal(ErrorCode.IoError, error.Code);
            Assert.Equal(error, fixture.Log.Status.Fault);
            Assert.Equal(LogAppendStatus.IoError, (await fixture.Log.AppendAsync(LogFixture.Block(7, 10))).Status);
            await fixture.AssertReadsAsync(stored);
        }

        await using LogFixture again = LogFixture.Open(options);
        Assert.False(again.Summary.Clean);
        LogFixture.AssertSame(stored, again.Recovered);
        await again.AssertReadsAsync(stored);
    }

    [Fact]
    public async Task AppendAsync_WriteFailsWhileTheBufferIsFull_ReturnsIoErrorInsteadOfWaiting()
    {
        var store = new FaultyStore(directory);
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory), store);
        store.OnWrite = () => Native.Eio;
        LogAppendStatus status = LogAppendStatus.Appended;
        for (int i = 0; i < 20 && status == LogAppendStatus.Appended; i++)
            status = (await fixture.Log.AppendAsync(LogFixture.Block(i, 100_000)).AsTask().WaitAsync(Guard)).Status;
        Assert.Equal(LogAppendStatus.IoError, status);
    }

    [Fact]
    public async Task CommitAsync_SyncFails_ReportsIoError()
    {
        var store = new FaultyStore(directory) { OnSync = () => Native.Eio };
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory), store);
        await fixture.AppendAsync(LogFixture.Block(1, 10_000));
        Assert.Equal(ErrorCode.IoError, (await fixture.Log.CommitAsync().AsTask().WaitAsync(Guard))!.Code);
        Assert.Equal(0, fixture.Log.Status.DurableAddress - fixture.Log.Status.BeginAddress);
    }

    [Fact]
    public async Task ReadAsync_DeviceFails_IsIoErrorAndWorksAgainLater()
    {
        var store = new FaultyStore(directory);
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory), store);
        Stored stored = await fixture.AppendAsync(LogFixture.Block(1, 10_000));
        Assert.Null(await fixture.Log.CommitAsync());
        store.OnRead = () => Native.Eio;
        Assert.Equal(LogReadStatus.IoError, await fixture.ReadStatusAsync(stored));
        store.OnRead = () => 0;
        Assert.Equal(LogReadStatus.Ok, await fixture.ReadStatusAsync(stored));
    }

    [Fact]
    public async Task Recover_DeviceFailsToRead_CountsTheLossAndDoesNotThrow()
    {
        LogOptions options = LogFixture.SmallOptions(directory);
        LogFixture first = LogFixture.Open(options);
        for (int i = 0; i < 5; i++) await first.AppendAsync(LogFixture.Block(i, 10_000));
        Assert.Null(await first.Log.CommitAsync());
        await first.Log.AbandonAsync();
        await using LogFixture again = LogFixture.Open(options, new FaultyStore(directory) { OnRead = () => Native.Eio });
        Assert.Empty(again.Recovered);
        Assert.True(again.Summary.CorruptRecords > 0);
        Assert.True(again.Summary.BytesCut > 0);
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);
}
