using System.IO.MemoryMappedFiles;
using KvTier.Silo.Regions;
using KvTier.Silo.Tests.Support;
using KvTier.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvTier.Silo.Tests.Regions;

/// <summary>Files of engines that are gone are removed, and no others.</summary>
public sealed class RegionReaperTests : SiloTest
{
    [Fact]
    public async Task AFile_IsRemoved_OnlyWhenNobodyHasItOpenOrMapped_AndItIsOld()
    {
        var counters = new RegionCounters();
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        var settings = new RegionSettings { Directory = Folder, ReapAfterSeconds = 300 };
        await using var reaper = new RegionReaper(settings, counters, time, NullLogger.Instance);
        var file = new RegionFile(Folder, "dead", 2);
        string foreign = Path.Combine(Folder, "not_vllm.mmap");
        await File.WriteAllTextAsync(foreign, "x", TestContext.Current.CancellationToken);

        Assert.Equal(0, reaper.LookOnce());
        time.Advance(TimeSpan.FromSeconds(400));
        Assert.Equal(0, reaper.LookOnce());

        var mapping = MemoryMappedFile.CreateFromFile(file.Stream, null, 0, MemoryMappedFileAccess.ReadWrite,
            HandleInheritability.None, leaveOpen: true);
        MemoryMappedViewAccessor view = mapping.CreateViewAccessor();
        mapping.Dispose();
        file.Dispose();
        Assert.Equal(0, reaper.LookOnce());
        Assert.True(File.Exists(file.Path));

        view.Dispose();
        Assert.Equal(1, reaper.LookOnce());
        Assert.False(File.Exists(file.Path));
        Assert.True(File.Exists(foreign));
        Assert.Equal(1, counters.Reaped);
    }

    [Fact]
    public async Task AYoungFileThatNobodyHasOpen_IsLeft()
    {
        var settings = new RegionSettings { Directory = Folder };
        await using var reaper = new RegionReaper(settings, new RegionCounters(), TimeProvider.System, NullLogger.Instance);
        using (new RegionFile(Folder, "young", 2))
        {
        }

        Assert.Equal(0, reaper.LookOnce());
    }
}
