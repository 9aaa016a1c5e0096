using System.Buffers;
using System.Runtime.CompilerServices;

namespace KvTier.Memory;

/// <summary>Lets <see cref="Memory{T}"/> stand for native memory. Pinning costs nothing: the memory never moves.</summary>
internal sealed unsafe class ChunkMemory(byte* pointer, int length) : MemoryManager<byte>
{
    /// <summary>Bytes of one chunk: <see cref="Memory{T}"/> counts in <c>int</c>, so a larger arena needs several.</summary>
    public const int ChunkShift = 30;

    private nint address = (nint)pointer;

    /// <summary>Cuts a region into chunks.</summary>
    public static ChunkMemory[] Cut(NativeRegion region)
    {
        var chunks = new ChunkMemory[(int)((region.Bytes + (1L << ChunkShift) - 1) >> ChunkShift)];
        for (int i = 0; i < chunks.Length; i++)
        {
            long start = (long)i << ChunkShift;
            chunks[i] = new ChunkMemory(region.Pointer + start, (int)Math.Min(1L << ChunkShift, region.Bytes - start));
        }

        return chunks;
    }

    /// <summary>The bytes of a region from an offset on. No allocation.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They reach over the border of a chunk, which no slot does.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memory<byte> Slice(ChunkMemory[] chunks, long offset, int length)
    {
        if (length == 0) return default;
        if (offset < ArenaHeader.AreaBytes) ThrowOutside(offset);
        long chunk = offset >> ChunkShift;
        if (chunk >= chunks.Length) ThrowOutside(offset);
        return chunks[chunk].Cut((int)(offset & ((1L << ChunkShift) - 1)), length);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Memory<byte> Cut(int start, int bytes)
    {
        // CreateMemory leaves this check to whoever takes a span; a pin would not make it.
        if (start + (long)(uint)bytes > length) ThrowOutside(start);
        return CreateMemory(start, bytes);
    }

    /// <summary>Makes every later use throw instead of touching memory that is gone.</summary>
    public void Revoke() => Volatile.Write(ref address, 0);

    /// <inheritdoc/>
    public override Span<byte> GetSpan()
    {
        nint start = Volatile.Read(ref address);
        ObjectDisposedException.ThrowIf(start == 0, typeof(Arena));
        return new Span<byte>((byte*)start, length);
    }

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length);
        nint start = Volatile.Read(ref address);
        ObjectDisposedException.ThrowIf(start == 0, typeof(Arena));
        return new MemoryHandle((byte*)start + elementIndex);
    }

    /// <inheritdoc/>
    public override void Unpin()
    {
        // Nothing was pinned.
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // The arena or mapping owns the memory.
    }

    private static void ThrowOutside(long offset) => throw new ArgumentOutOfRangeException(nameof(offset), offset, "outside the arena");
}
