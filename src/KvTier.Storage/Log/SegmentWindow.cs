using System.Runtime.InteropServices;
using KvTier.Storage.Device;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>
/// A window on the bytes of the segments, by address. Never throws for what the device says: what can't be read isn't there.
/// </summary>
internal sealed unsafe class SegmentWindow(SegmentTable segments, LogGeometry geometry) : IDisposable
{
    public const int Bytes = 1 << 20;
    private readonly byte* memory = (byte*)NativeMemory.AlignedAlloc(Bytes, 4096);
    private long start;
    private int length;

    /// <summary>Bytes read from the device so far.</summary>
    public long BytesRead { get; private set; }

    /// <summary>
    /// The bytes from an address on that lie in one segment and in the window; at least as many as asked for if the segment has them.
    /// </summary>
    /// <param name="address">A multiple of 512.</param>
    /// <param name="need">Bytes that must be there.</param>
    /// <param name="want">Bytes to read when a read is needed.</param>
    public ReadOnlySpan<byte> Get(long address, int need, int want)
    {
        long end = geometry.SegmentStart(geometry.SegmentOf(address) + 1);
        need = (int)Math.Min(need, end - address);
        if (address < start || address + need > start + length)
            Fill(address, (int)Math.Min(Math.Min(Math.Max(want, need), Bytes), end - address));
        int at = (int)(address - start);
        return at >= length ? default : new ReadOnlySpan<byte>(memory + at, length - at);
    }

    public void Dispose() => NativeMemory.AlignedFree(memory);

    private void Fill(long address, int count)
    {
        start = address;
        length = 0;
        Segment? segment = segments.Acquire(geometry.SegmentOf(address));
        if (segment is null) return;
        var vector = new IoVector((nint)memory, count);
        int error = segment.File.Read(new Span<IoVector>(ref vector), geometry.OffsetInSegment(address), out long read);
        segments.Release(segment);
        length = error == 0 ? (int)read : 0;
        BytesRead += length;
    }
}
