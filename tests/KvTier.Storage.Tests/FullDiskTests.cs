using System.Diagnostics;

namespace KvTier.Storage.Tests;

/// <summary>A real disk that is really full: a small tmpfs, mounted by the test. Needs the right to mount, as root in CI has.</summary>
public sealed class FullDiskTests : IDisposable
{
    private readonly string mount = LogFixture.NewDirectory();

    public FullDiskTests() => Run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount);

    [Fact]
    public async Task AppendAsync_RealDiskFull_IsDiskFullAndWorksAgainWhenSpaceReturns()
    {
        string ballast = Path.Combine(mount, "ballast");
        File.WriteAllBytes(ballast, new byte[2 << 20]);
        LogOptions options = LogFixture.SmallOptions(Path.Combine(mount, "log"), capBytes: 16 << 20, blockBytesMax: 1 << 20);
        var stored = new List<Stored>();
        await using (LogFixture fixture = LogFixture.Open(options))
        {
            LogAppendStatus status = LogAppendStatus.Appended;
            for (int i = 0; status == LogAppendStatus.Appended; i++)
            {
                LogRecord record = LogFixture.Block(i, 50_000);
                LogAppendResult result = await fixture.Log.AppendAsync(record);
                status = result.Status;
                if (status == LogAppendStatus.Appended) stored.Add(new Stored(record, result.Address));
            }

            Assert.Equal(LogAppendStatus.DiskFull, status);
            Assert.Null(fixture.Log.Status.Fault);
            Assert.Null(await fixture.Log.CommitAsync());
            await fixture.AssertReadsAsync(stored);
            File.Delete(ballast);
            for (int i = 0; i < 20; i++) stored.Add(await fixture.AppendAsync(LogFixture.Block(1000 + i, 50_000)));
            Assert.Null(await fixture.Log.CommitAsync());
            await fixture.AssertReadsAsync(stored);
        }

        await using LogFixture again = LogFixture.Open(options);
        LogFixture.AssertSame(stored, again.Recovered);
        await again.AssertReadsAsync(stored);
    }

    public void Dispose()
    {
        // A process that somebody is just starting has our open files until it is its own; a mount in use is let go of later.
        Run("umount", "--lazy", mount);
        Directory.Delete(mount, recursive: true);
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process =
            Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, UseShellExecute = false })!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {error}");
    }
}
