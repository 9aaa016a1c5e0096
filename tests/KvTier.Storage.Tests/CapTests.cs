using System.Diagnostics;
using System.Globalization;

namespace KvTier.Storage.Tests;

public sealed class CapTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task AppendAsync_MuchMoreThanTheCap_TheFilesNeverPassIt(int seed)
    {
        await using LogFixture fixture = LogFixture.Open();
        LogStatus first = fixture.Log.Status;
        using var stop = new CancellationTokenSource();
        long largest = 0;
        Task observer = Task.Factory.StartNew(
            () =>
            {
                while (!stop.IsCancellationRequested) largest = Math.Max(largest, FileBytes(fixture.Directory));
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var random = new Random(seed);
        long appended = 0;
        var live = new List<Stored>();
        for (int i = 0; appended < 5 * first.CapBytes; i++)
        {
            LogRecord record = LogFixture.Block(i, random.Next(10) == 0 ? random.Next(1 << 20) : random.Next(20_000), random.Next(512));
            LogAppendResult result = await fixture.Log.AppendAsync(record);
            while (result.Status == LogAppendStatus.CapReached)
            {
                Assert.Null(await fixture.Log.CommitAsync());
                Assert.True(fixture.Log.ListOldestSegment(new ListSink()) >= 0);
                fixture.Log.DropOldestSegment();
                result = await fixture.Log.AppendAsync(record);
            }

            Assert.Equal(LogAppendStatus.Appended, result.Status);
            appended += record.Payload.Length;
            live.Add(new Stored(record, result.Address));
            LogStatus status = fixture.Log.Status;
            Assert.True(status.DiskBytes <= status.CapBytes, $"{status}");
            if (i % 200 == 0) Assert.True(AllocatedBytes(fixture.Directory) <= status.CapBytes);
        }

        await stop.CancelAsync();
        await observer;

        // However seldom the observer was let run: what it measures is more than half of the cap now.
        largest = Math.Max(largest, FileBytes(fixture.Directory));
        Assert.InRange(largest, first.CapBytes / 2, first.CapBytes);
        Assert.Null(await fixture.Log.CommitAsync());
        long begin = fixture.Log.Status.BeginAddress;
        Assert.True(begin > 4 * first.SegmentBytes);
        Assert.Equal(LogReadStatus.Gone, await fixture.ReadStatusAsync(live[0]));
        await fixture.AssertReadsAsync(live.Where(stored => stored.Address.Value >= begin));
    }

    [Theory]
    [InlineData(4L << 20, 1 << 20, false)]
    [InlineData(4L << 20, 64 << 20, true)]
    [InlineData(100L << 20, 64 << 20, false)]
    [InlineData(1L << 19, 1 << 10, true)]
    public async Task Open_CapTooSmallForTheLargestBlock_IsRefusedSayingHowMuchIsNeeded(long cap, int blockBytesMax, bool refused)
    {
        string directory = LogFixture.NewDirectory();
        Result<BlockLog> opened = BlockLog.Open(LogFixture.SmallOptions(directory, cap, blockBytesMax), TimeProvider.System);
        Assert.Equal(refused, !opened.IsOk);
        if (refused)
        {
            Assert.Equal("log.capBytes", opened.Error!.Field);
            Assert.Equal(cap.ToString(CultureInfo.InvariantCulture), opened.Error.Value);
            Assert.StartsWith("at least", opened.Error.Limit, StringComparison.Ordinal);
        }
        else
        {
            await opened.Value.DisposeAsync();
        }

        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task AppendAsync_LargestBlockAtTheSmallestCap_FitsAfterDrops()
    {
        string directory = LogFixture.NewDirectory();
        const int largest = 2 << 20;
        LogOptions options = LogFixture.SmallOptions(directory, 4 << 20, largest);
        await using (LogFixture fixture = LogFixture.Open(options))
        {
            Stored? last = null;
            for (int i = 0; i < 8; i++)
            {
                LogRecord record = LogFixture.Block(i, largest, keyLength: 512);
                LogAppendResult result;
                while ((result = await fixture.Log.AppendAsync(record)).Status == LogAppendStatus.CapReached)
                {
                    Assert.Null(await fixture.Log.CommitAsync());
                    Assert.True(fixture.Log.ListOldestSegment(new ListSink()) >= 0);
                    fixture.Log.DropOldestSegment();
                }

                last = new Stored(record, result.Address);
            }

            Assert.Null(await fixture.Log.CommitAsync());
            await fixture.AssertReadsAsync([last!]);
        }

        Directory.Delete(directory, recursive: true);
    }

    /// <summary>Bytes of the files that are there at one moment, which is when their names have been read.</summary>
    /// <remarks>With the names read file by file, a file could be counted that was made in the room of one counted before.</remarks>
    private static long FileBytes(string directory)
    {
        long sum = 0;
        foreach (string path in Directory.GetFiles(directory))
        {
            try
            {
                sum += new FileInfo(path).Length;
            }
            catch (FileNotFoundException)
            {
                continue;
            }
        }

        return sum;
    }

    /// <summary>What the file system says that the files take, as du counts it.</summary>
    private static long AllocatedBytes(string directory)
    {
        var start = new ProcessStartInfo("du", ["--block-size=1", "--summarize", directory])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        using Process du = Process.Start(start)!;
        string text = du.StandardOutput.ReadToEnd();
        du.WaitForExit();
        return long.Parse(text.Split('\t')[0], CultureInfo.InvariantCulture);
    }
}
