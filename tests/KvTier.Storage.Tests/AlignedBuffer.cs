using System.Buffers;
using System.Runtime.InteropServices;

namespace KvTier.Storage.Tests;

/// <summary>Memory outside the GC heap that begins at a multiple of 4096, as an arena slot does.</summary>
internal sealed unsafe class AlignedBuffer(int bytes) : MemoryManager<byte>
{
    private readonly int size = Math.Max(512, (bytes + 511) & ~511);
    private byte* memory = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(512, (bytes + 511) & ~511), 4096);

    public override Span<byte> GetSpan() => new(memory, size);

    public override MemoryHandle Pin(int elementIndex = 0) => new(memory + elementIndex);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        NativeMemory.AlignedFree(memory);
        memory = null;
    }

    public void Free() => Dispose(true);
}
