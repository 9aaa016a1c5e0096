namespace KvTier.Silo.Native;

/// <summary>Bytes that all connections may hold at one time for one purpose. Thread-safe.</summary>
/// <param name="max">Most bytes.</param>
internal sealed class ByteBudget(long max)
{
    private long taken;

    /// <summary>Most bytes.</summary>
    public long Max => max;

    /// <summary>Bytes taken now.</summary>
    public long Taken => Interlocked.Read(ref taken);

    /// <summary>Takes bytes.</summary>
    /// <returns>False, with nothing taken, when there would be too many.</returns>
    public bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref taken, bytes) <= max) return true;
        Interlocked.Add(ref taken, -bytes);
        return false;
    }

    /// <summary>Gives bytes back.</summary>
    public void Return(long bytes) => Interlocked.Add(ref taken, -bytes);
}
