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
    public static List<string> Find(params (string Name, long Count)[] counts)
    {
        var leaks = new List<string>();
        if (NativeMemoryTracker.LiveBytes != 0 || NativeMemoryTracker.LiveRegions != 0)
            leaks.Add($"{NativeMemoryTracker.LiveBytes} native bytes in {NativeMemoryTracker.LiveRegions} pieces");
        foreach (string file in SharedFiles()) leaks.Add($"shared file {file}");
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

/// <summary>Base of test classes that must leave nothing behind: the gate runs after every test.</summary>
public abstract class LeakGated : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Counts that must be zero after a test, besides native bytes and shared files.</summary>
    protected virtual IReadOnlyList<(string Name, long Count)> LeakCounts => [];

    /// <summary>Runs the gate; a derived class frees its own things first, then calls this.</summary>
    protected virtual void Dispose(bool disposing) => LeakGate.AssertClean([.. LeakCounts]);
}
