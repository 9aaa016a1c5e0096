using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace KvTier.Silo.Regions;

/// <summary>
/// Removes files of KV rows whose engine is gone: an engine that is killed leaves its file in shared memory. A file goes only when the
/// system grants a lease on it, which it does when no process, in whatever container, has it open or mapped.
/// </summary>
internal sealed class RegionReaper : IAsyncDisposable
{
    private static readonly TimeSpan interval = TimeSpan.FromSeconds(5);

    private readonly RegionSettings settings;
    private readonly RegionCounters counters;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly ITimer timer;
    private int looking;
    private bool toldUnsupported;

    /// <summary>Makes the reaper and starts its timer.</summary>
    public RegionReaper(RegionSettings settings, RegionCounters counters, TimeProvider time, ILogger logger)
    {
        this.settings = settings;
        this.counters = counters;
        this.time = time;
        this.logger = logger;
        timer = time.CreateTimer(_ => LookOnce(), null, interval, interval);
    }

    /// <summary>Looks through the folder once. The timer calls it; tests may too.</summary>
    /// <returns>Files removed.</returns>
    public int LookOnce()
    {
        if (Interlocked.Exchange(ref looking, 1) != 0) return 0;
        try
        {
            return Directory.EnumerateFiles(settings.Directory, RegionNames.Pattern).Count(TryReap);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
        finally
        {
            Volatile.Write(ref looking, 0);
        }
    }

    /// <summary>Stops the timer.</summary>
    public ValueTask DisposeAsync() => timer.DisposeAsync();

    private bool TryReap(string path)
    {
        if (RegionNative.Look(path, out FileFacts named) != 0 || !IsOldAndOurs(named)) return false;
        if (RegionNative.Open(path, out SafeFileHandle handle) != 0)
        {
            handle.Dispose();
            return false;
        }

        using (handle)
        {
            if (RegionNative.Look(handle, out FileFacts facts) != 0 || !facts.IsSameFile(named) || !IsOldAndOurs(facts)) return false;
            int error = RegionNative.TakeLease(handle);
            if (error != 0)
            {
                if (error != RegionNative.Eagain) TellUnsupported(error);
                return false;
            }

            try
            {
                return Remove(path, facts);
            }
            finally
            {
                RegionNative.EndLease(handle);
            }
        }
    }

    private bool IsOldAndOurs(in FileFacts facts) =>
        facts.IsRegular && facts.Uid == Native.PeerCredentials.OwnUid
        && time.GetUtcNow().ToUnixTimeSeconds() - facts.ChangedUnixSeconds >= settings.ReapAfterSeconds;

    private bool Remove(string path, in FileFacts facts)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }

        counters.FileReaped();
        logger.RegionReaped(path, facts.Size);
        return true;
    }

    private void TellUnsupported(int error)
    {
        if (toldUnsupported) return;
        toldUnsupported = true;
        logger.RegionReapUnsupported(settings.Directory, error);
    }
}
