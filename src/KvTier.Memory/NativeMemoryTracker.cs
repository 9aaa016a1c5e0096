namespace KvTier.Memory;

/// <summary>
/// Counts the bytes that this process holds outside the GC heap: arenas, mappings, native arrays, and whatever else its owner reports.
/// </summary>
/// <remarks>A leak is meant to show here: nothing in this project is freed by a finalizer. Thread-safe.</remarks>
public static class NativeMemoryTracker
{
    private static long liveBytes;
    private static long liveRegions;

    /// <summary>Bytes held now, by size asked for and not by pages touched.</summary>
    public static long LiveBytes => Interlocked.Read(ref liveBytes);

    /// <summary>Pieces held now.</summary>
    public static long LiveRegions => Interlocked.Read(ref liveRegions);

    /// <summary>Reports a piece that its owner got elsewhere, such as by <c>NativeMemory.AlignedAlloc</c>.</summary>
    /// <param name="bytes">Its size.</param>
    public static void Add(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Interlocked.Add(ref liveBytes, bytes);
        Interlocked.Increment(ref liveRegions);
    }

    /// <summary>Reports that a piece reported by <see cref="Add"/> was freed.</summary>
    /// <param name="bytes">Its size, as given to <see cref="Add"/>.</param>
    public static void Remove(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Interlocked.Add(ref liveBytes, -bytes);
        Interlocked.Decrement(ref liveRegions);
    }

    /// <summary>Reports that a piece has another size now.</summary>
    internal static void Resize(long oldBytes, long newBytes) => Interlocked.Add(ref liveBytes, newBytes - oldBytes);
}
