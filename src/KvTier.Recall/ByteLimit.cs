namespace KvTier.Recall;

/// <summary>Bytes that all calls together may take; refuses what is above. Thread-safe.</summary>
/// <param name="field">Name of the limit, for the error.</param>
/// <param name="max">Most bytes.</param>
internal sealed class ByteLimit(string field, long max)
{
    private long taken;

    /// <summary>Bytes taken now.</summary>
    internal long Taken => Interlocked.Read(ref taken);

    /// <summary>Takes bytes before they are made.</summary>
    /// <returns>Null; or the error, and then nothing was taken.</returns>
    internal KvError? Take(long bytes)
    {
        if (bytes <= 0) return null;
        while (true)
        {
            long before = Taken;
            if (before + bytes > max) return KvError.LimitExceeded(field, before + bytes, max);
            if (Interlocked.CompareExchange(ref taken, before + bytes, before) == before) return null;
        }
    }

    /// <summary>Counts bytes that are there already, or gives them back when it is below 0.</summary>
    internal void Add(long bytes) => Interlocked.Add(ref taken, bytes);
}
