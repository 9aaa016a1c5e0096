using KvTier.Memory;

namespace KvTier.Recall;

/// <summary>Numbers in native memory that forks share by counting.</summary>
internal sealed class SharedNumbers(long length)
{
    private readonly NativeArray<float> numbers = new(length);
    private int holders = 1;

    /// <summary>Numbers.</summary>
    internal long Length => numbers.Length;

    /// <summary>Bytes held, whole pages.</summary>
    internal long Bytes => numbers.SizeBytes;

    /// <summary>True when nobody else holds them.</summary>
    internal bool IsOwned => Volatile.Read(ref holders) == 1;

    /// <summary>Some of the numbers.</summary>
    internal Span<float> Slice(long start, int count) => numbers.AsSpan(start, count);

    /// <summary>Counts one more holder.</summary>
    internal SharedNumbers Share()
    {
        Interlocked.Increment(ref holders);
        return this;
    }

    /// <summary>Counts one holder less; the last one frees them.</summary>
    internal void Release()
    {
        if (Interlocked.Decrement(ref holders) == 0) numbers.Dispose();
    }

    /// <summary>Numbers of one's own: these, when nobody else holds them, or a copy in place of them.</summary>
    internal SharedNumbers Own(int piece)
    {
        if (IsOwned) return this;
        var copy = new SharedNumbers(numbers.Length);
        for (long at = 0; at < numbers.Length; at += piece) numbers.AsSpan(at, piece).CopyTo(copy.numbers.AsSpan(at, piece));
        Release();
        return copy;
    }
}
