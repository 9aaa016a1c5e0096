using System.Buffers;
using System.Runtime.InteropServices;

namespace KvTier.Client.Requests;

/// <summary>The bytes of a caller's floats, so that they go to and from a socket without a copy. Used again for others.</summary>
internal sealed class FloatBytes : MemoryManager<byte>
{
    private Memory<float> floats;

    /// <summary>The bytes of floats that will only be read.</summary>
    public ReadOnlyMemory<byte> Of(ReadOnlyMemory<float> source) => Of(MemoryMarshal.AsMemory(source));

    /// <summary>The bytes of floats, until the next call.</summary>
    public Memory<byte> Of(Memory<float> target)
    {
        floats = target;
        return CreateMemory(target.Length * sizeof(float));
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan() => MemoryMarshal.AsBytes(floats.Span);

    /// <inheritdoc/>
    public override unsafe MemoryHandle Pin(int elementIndex = 0)
    {
        MemoryHandle pinned = floats.Pin();
        return new MemoryHandle((byte*)pinned.Pointer + elementIndex, default, new Unpinner(pinned));
    }

    /// <inheritdoc/>
    public override void Unpin()
    {
        // Each handle unpins by itself.
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => floats = default;

    private sealed class Unpinner(MemoryHandle pinned) : IPinnable
    {
        public MemoryHandle Pin(int elementIndex) => throw new InvalidOperationException("It is pinned already.");

        public void Unpin() => pinned.Dispose();
    }
}
