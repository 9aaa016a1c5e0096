using System.Runtime.InteropServices;
using KvTier.Memory;

namespace KvTier.Recall;

/// <summary>
/// The digest rows of a run of chunks, all layers and KV heads, in native memory. Forks share it by counting; only who holds it alone may
/// write.
/// </summary>
internal sealed unsafe class DigestSegment
{
    private const int Alignment = 64;
    private readonly byte* memory;
    private int holders = 1;

    /// <summary>Makes a segment of zeros.</summary>
    internal DigestSegment(SegmentLayout layout)
    {
        Layout = layout;
        memory = (byte*)NativeMemory.AlignedAlloc((nuint)layout.Bytes, Alignment);
        NativeMemory.Clear(memory, (nuint)layout.Bytes);
        NativeMemoryTracker.Add(layout.Bytes);
    }

    /// <summary>Where its rows lie.</summary>
    internal SegmentLayout Layout { get; }

    /// <summary>True when nobody else holds it.</summary>
    internal bool IsOwned => Volatile.Read(ref holders) == 1;

    /// <summary>Its copy on a device; null for none. Changed under the lock of the device's space.</summary>
    internal DeviceSegment? OnDevice { get; set; }

    /// <summary>Rows of a part, without their scales.</summary>
    internal Span<byte> Rows(int head, RowPart part, int first, int count) =>
        new(Head(head) + Layout.RowsAt(part) + ((long)first * Layout.RowBytes(part)), count * Layout.RowBytes(part));

    /// <summary>Scales of rows, for the forms that have them.</summary>
    internal Span<float> Scales(int head, RowPart part, int first, int count) =>
        new((float*)(Head(head) + Layout.ScalesAt(part)) + first, count);

    /// <summary>Smallest cosine of a chunk's keys with their mean, for digests with outliers.</summary>
    internal Span<float> Cosines(int head) => new(Head(head) + Layout.Cosines, Layout.Chunks);

    /// <summary>Reaches (<see cref="MomentBound"/>), for moments that keep them.</summary>
    internal Span<float> Reaches(int head) => new((float*)(Head(head) + Layout.Reaches), Layout.Chunks);

    /// <summary>Flags of the chunks.</summary>
    internal Span<ChunkFlags> Flags(int head) => new(Head(head) + Layout.Flags, Layout.Chunks);

    /// <summary>Counts one more holder.</summary>
    internal DigestSegment Share()
    {
        Interlocked.Increment(ref holders);
        return this;
    }

    /// <summary>Counts one holder less; the last one frees the memory.</summary>
    internal void Release()
    {
        if (Interlocked.Decrement(ref holders) != 0) return;
        OnDevice?.Drop();
        NativeMemory.AlignedFree(memory);
        NativeMemoryTracker.Remove(Layout.Bytes);
    }

    /// <summary>Copies all of its bytes, as they lie.</summary>
    internal void Read(Span<byte> destination) => new ReadOnlySpan<byte>(memory, checked((int)Layout.Bytes)).CopyTo(destination);

    /// <summary>Makes a segment with these rows and room for at least as many.</summary>
    internal DigestSegment CopyTo(SegmentLayout layout, ChunkShape shape)
    {
        var copy = new DigestSegment(layout);
        for (int head = 0; head < Layout.Heads; head++)
        {
            for (int p = 0; p < ChunkShape.Parts; p++)
            {
                var part = (RowPart)p;
                if (shape.RowLength(part) == 0) continue;
                int rows = shape.Rows(part, Layout.Chunks);
                Rows(head, part, 0, rows).CopyTo(copy.Rows(head, part, 0, rows));
                if (shape.HasScales) Scales(head, part, 0, rows).CopyTo(copy.Scales(head, part, 0, rows));
            }

            if (shape.Spec.OutlierChunks > 0) Cosines(head).CopyTo(copy.Cosines(head));
            if (shape.HasReach) Reaches(head).CopyTo(copy.Reaches(head));
            Flags(head).CopyTo(copy.Flags(head));
        }

        return copy;
    }

    private byte* Head(int head) => memory + (head * Layout.HeadBytes);
}
