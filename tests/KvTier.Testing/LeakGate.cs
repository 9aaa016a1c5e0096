using KvTier.Memory;

namespace KvTier.Testing;

/// <summary>
/// Says what a test left behind: native bytes, shared-memory files of this process, and counts that the caller names, such as leases.
/// </summary>
/// <remarks>Native bytes are counted for the whole process: an assembly that uses the gate runs its tests one after another
/// (<c>[assembly: CollectionBehavior(DisableTestParallelization = true)]</c>).</remarks>
public static class LeakGate
{
    /// <summary>Checks that nothing is left.</summary>
    /// <param name="counts">What else must be zero, by name.</param>
    /// <exception cref="LeakException">Something is left; the message says what.</exception>
    public static void AssertClean(params (string Name, long Count)[] counts)
    {
        List<string> leaks = Find(counts);
        if (leaks.Count > 0) throw new LeakException(string.Join("; ", leaks));
    }

    /// <summary>Lists what is left.</summary>
    public static List<string> Find(params (string Name, long Count)[] counts) => Find(0, 0, [], counts);

    /// <summary>Lists what is left beyond what was there before.</summary>
    internal static List<string> Find(long bytesBefore, long regionsBefore, string[] filesBefore, (string Name, long Count)[] counts)
    {
        var leaks = new List<string>();
        long bytes = NativeMemoryTracker.LiveBytes - bytesBefore;
        long regions = NativeMemoryTracker.LiveRegions - regionsBefore;
        if (bytes != 0 || regions != 0) leaks.Add($"{bytes} native bytes in {regions} pieces");
        foreach (string file in SharedFiles().Except(filesBefore)) leaks.Add($"shared file {file}");
        foreach ((string name, long count) in counts)
        {
            if (count != 0) leaks.Add($"{count} {name}");
        }

        return leaks;
    }

    /// <summary>Shared-memory files of this process.</summary>
    public static string[] SharedFiles() =>
        Directory.Exists("/dev/shm") ? Directory.GetFiles("/dev/shm", $"kvtier-{Environment.ProcessId}-*") : [];
}

/// <summary>A test left something behind.</summary>
public sealed class LeakException(string leaks) : Exception($"left behind: {leaks}");

/// <summary>
/// Base of test classes that must leave nothing behind: the gate runs after every test. It compares with what was there when the test
/// began, so that one leak fails one test.
/// </summary>
public abstract class LeakGated : IDisposable
{
    private readonly long bytesBefore = NativeMemoryTracker.LiveBytes;
    private readonly long regionsBefore = NativeMemoryTracker.LiveRegions;
    private readonly string[] filesBefore = LeakGate.SharedFiles();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Counts that must be zero after a test, besides native bytes and shared files.</summary>
    protected virtual IReadOnlyList<(string Name, long Count)> LeakCounts => [];

    /// <summary>Runs the gate; a derived class frees its own things first, then calls this.</summary>
    protected virtual void Dispose(bool disposing)
    {
        List<string> leaks = LeakGate.Find(bytesBefore, regionsBefore, filesBefore, [.. LeakCounts]);
        if (leaks.Count > 0) throw new LeakException(string.Join("; ", leaks));
    }
}
