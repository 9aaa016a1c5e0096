using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace KvTier.Memory;

/// <summary>
/// A large array outside the GC heap: zeroed, growable, of more than 2^31 elements if need be. Pages are taken as they are first written.
/// </summary>
/// <typeparam name="T">Type of the elements; holds no references.</typeparam>
/// <remarks>
/// Not thread-safe. References and spans of it are void after <see cref="Grow"/> and <see cref="Dispose"/>; it has no finalizer, so that
/// it must be disposed.
/// </remarks>
public sealed unsafe class NativeArray<T> : IDisposable
    where T : unmanaged
{
    private readonly NativeRegion region;
    private T* items;

    /// <summary>Makes an array of zeroed elements.</summary>
    /// <param name="length">Elements, at least 1.</param>
    /// <param name="hugePages">True to ask the system for huge pages, which makes random access to large tables faster.
    /// Default false.</param>
    /// <exception cref="KvException">The system has no room.</exception>
    public NativeArray(long length, bool hugePages = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        region = NativeRegion.TryMapAnonymous(SizeOf(length), hugePages) ?? throw NoRoom(length);
        items = (T*)region.Pointer;
        Length = length;
    }

    /// <summary>Elements; 0 after <see cref="Dispose"/>.</summary>
    public long Length { get; private set; }

    /// <summary>Bytes of address space held, whole pages; at most as many are in memory.</summary>
    public long SizeBytes => Length == 0 ? 0 : region.Bytes;

    /// <summary>An element.</summary>
    /// <param name="index">0 to <see cref="Length"/> - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The index is outside.</exception>
    public ref T this[long index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if ((ulong)index >= (ulong)Length) ThrowOutside(index);
            return ref items[index];
        }
    }

    /// <summary>An element, its index checked in debug builds only: for inner loops whose index is right by construction.</summary>
    /// <param name="index">0 to <see cref="Length"/> - 1.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref T Unchecked(long index)
    {
        Debug.Assert((ulong)index < (ulong)Length, "index outside the array");
        return ref items[index];
    }

    /// <summary>Some elements as a span.</summary>
    /// <param name="start">First element.</param>
    /// <param name="length">Elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">They are not all inside.</exception>
    public Span<T> AsSpan(long start, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        if ((ulong)start > (ulong)Length || length > Length - start)
            throw new ArgumentOutOfRangeException(nameof(start), start, $"array has {Length}");
        return new Span<T>(items + start, length);
    }

    /// <summary>Makes the array longer; elements keep their values, new ones are zero. The memory may move.</summary>
    /// <param name="length">Elements, not fewer than now.</param>
    /// <exception cref="KvException">The system has no room; nothing changed.</exception>
    public void Grow(long length)
    {
        ObjectDisposedException.ThrowIf(Length == 0, this);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, Length);
        long bytes = SizeOf(length);
        if (bytes != region.Bytes && !region.TryResize(bytes)) throw NoRoom(length);
        items = (T*)region.Pointer;
        Length = length;
    }

    /// <summary>Makes every element zero and gives the pages back to the system.</summary>
    public void Clear()
    {
        ObjectDisposedException.ThrowIf(Length == 0, this);
        region.Reset();
    }

    /// <summary>Frees the memory. Calling it again does nothing.</summary>
    public void Dispose()
    {
        Length = 0;
        items = null;
        region.Dispose();
    }

    private static long SizeOf(long length)
    {
        long page = Environment.SystemPageSize;
        return checked((length * sizeof(T)) + page - 1) / page * page;
    }

    private static KvException NoRoom(long length) =>
        new(new KvError(ErrorCode.HostFull, "native array", $"{length} x {sizeof(T)} bytes", "what the system can map"));

    private static void ThrowOutside(long index) => throw new ArgumentOutOfRangeException(nameof(index), index, "outside the native array");
}
