namespace KvTier.Storage.Tests;

[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true)]
public sealed class AloneCollection;

/// <summary>Appends and reads allocate nothing per block. Runs alone, because it looks at the whole process.</summary>
[Collection(nameof(AllocationTests))]
public sealed class AllocationTests
{
    private const int Blocks = 2000;
    private const int RoundsMax = 5;
    private const int BytesPerBlockMax = 24;

    [Fact]
    public async Task AppendAndRead_SteadyState_AllocateNothingPerBlock()
    {
        string directory = LogFixture.NewDirectory();
        LogOptions options = LogFixture.SmallOptions(directory, 64 << 20, 1 << 20) with { PageBytes = 1 << 20, BufferBytes = 4 << 20 };
        var slot = new AlignedBuffer(4096);
        await using (LogFixture fixture = LogFixture.Open(options))
        {
            LogRecord record = LogFixture.Block(1, 4096);
            var addresses = new LogAddress[Blocks];
            await Run(fixture, record, addresses, slot);

            // What allocates for every block does so in every round; what the test runner has left to report, in one or two.
            long perBlock = long.MaxValue;
            for (int round = 0; round < RoundsMax && perBlock > BytesPerBlockMax; round++)
            {
                long before = GC.GetTotalAllocatedBytes(precise: true);
                await Run(fixture, record, addresses, slot);
                perBlock = Math.Min(perBlock, (GC.GetTotalAllocatedBytes(precise: true) - before) / Blocks);
            }

            Assert.True(perBlock <= BytesPerBlockMax, $"{perBlock} bytes per block");
        }

        slot.Free();
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task DisposeAsync_AfterWork_LeavesNoOpenFileAndNoThreadBehind()
    {
        var directories = new List<string>();
        for (int i = 0; i < 3; i++)
        {
            await using LogFixture fixture = LogFixture.Open();
            directories.Add(fixture.Directory);
            Assert.NotEqual(0, OpenFiles(fixture.Directory));
            Stored stored = await fixture.AppendAsync(LogFixture.Block(i, 300_000));
            Assert.Null(await fixture.Log.CommitAsync());
            await fixture.AssertReadsAsync([stored]);
        }

        // Other tests' files are none of ours: what they left open may be closed at any time.
        Assert.All(directories, directory => Assert.Equal(0, OpenFiles(directory)));

        // A thread that was joined may still stand in /proc for a moment.
        Assert.True(SpinWait.SpinUntil(() => LogThreads() == 0, TimeSpan.FromSeconds(60)), $"{LogThreads()} threads");
    }

    private static int LogThreads() => Directory.EnumerateDirectories("/proc/self/task").Count(IsLogThread);

    private static bool IsLogThread(string task)
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, "comm")).StartsWith("kvtier-log", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static int OpenFiles(string directory) =>
        Directory.GetFileSystemEntries("/proc/self/fd").Count(entry => IsIn(entry, $"/{Path.GetFileName(directory)}/"));

    private static bool IsIn(string entry, string directory)
    {
        try
        {
            return File.ResolveLinkTarget(entry, returnFinalTarget: false)?.FullName.Contains(directory, StringComparison.Ordinal) == true;
        }
        catch (IOException)
        {
            // The runtime has closed a file of its own since the names were read.
            return false;
        }
    }

    private static readonly BlockRange[] ranges = [new(0, 100), new(3000, 500)];
    private static readonly PackingSink sink = new(600);

    private static async Task Run(LogFixture fixture, LogRecord record, LogAddress[] addresses, AlignedBuffer slot)
    {
        for (int i = 0; i < Blocks; i++) addresses[i] = (await fixture.Log.AppendAsync(record)).Address;
        Assert.Null(await fixture.Log.CommitAsync());
        for (int i = 0; i < Blocks; i++)
        {
            var read = new LogRead { Address = addresses[i], Id = record.Id, Length = record.Payload.Length, Destination = slot.Memory };
            if ((await fixture.Log.ReadAsync(read)).Status != LogReadStatus.Ok) Assert.Fail($"read {i}");
            read = read with { Destination = default, Ranges = ranges, Sink = sink, KeyLength = record.Key.Length };
            if ((await fixture.Log.ReadAsync(read)).Status != LogReadStatus.Ok) Assert.Fail($"ranges of {i}");
        }
    }
}
