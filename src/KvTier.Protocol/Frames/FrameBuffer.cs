using System.Buffers;

namespace KvTier.Protocol;

/// <summary>
/// A growable buffer from <see cref="ArrayPool{T}.Shared"/> to encode frames into. Not thread-safe. Made once for a connection and
/// cleared between frames, it allocates nothing on the way.
/// </summary>
/// <remarks>Memory and spans taken from it are void after the next write, <see cref="Clear"/> or <see cref="Dispose"/>.</remarks>
public sealed class FrameBuffer : IBufferWriter<byte>, IDisposable
{
    private byte[] bytes;
    private int count;

    /// <summary>Rents a buffer.</summary>
    /// <param name="capacityBytes">Bytes to begin with. Default 4,096.</param>
    public FrameBuffer(int capacityBytes = 4096)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacityBytes);
        bytes = ArrayPool<byte>.Shared.Rent(capacityBytes);
    }

    /// <summary>Bytes written so far.</summary>
    public int WrittenCount => count;

    /// <summary>What has been written.</summary>
    public ReadOnlyMemory<byte> WrittenMemory => bytes.AsMemory(0, count);

    /// <summary>What has been written.</summary>
    public ReadOnlySpan<byte> WrittenSpan => bytes.AsSpan(0, count);

    /// <summary>Forgets what has been written; the memory is kept.</summary>
    public void Clear() => count = 0;

    /// <summary>Forgets what was written after the first <paramref name="length"/> bytes.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)count, nameof(length));
        count = length;
    }

    /// <summary>Bytes written before, to be patched.</summary>
    public Span<byte> Written(int start, int length) => bytes.AsSpan(0, count).Slice(start, length);

    /// <inheritdoc/>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(bytes.Length - this.count), nameof(count));
        this.count += count;
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return bytes.AsMemory(count);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return bytes.AsSpan(count);
    }

    /// <summary>Gives the memory back; nothing may be written afterwards.</summary>
    public void Dispose()
    {
        if (bytes.Length > 0) ArrayPool<byte>.Shared.Return(bytes);
        bytes = [];
        count = 0;
    }

    private void Reserve(int sizeHint)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        int needed = Math.Max(sizeHint, 1);
        if (bytes.Length - count < needed) Grow(needed);
    }

    private void Grow(int needed)
    {
        ObjectDisposedException.ThrowIf(bytes.Length == 0, this);
        byte[] larger = ArrayPool<byte>.Shared.Rent((int)Math.Max(Math.Min(bytes.Length * 2L, Array.MaxLength), count + (long)needed));
        bytes.AsSpan(0, count).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(bytes);
        bytes = larger;
    }
}
