using System.Numerics;

namespace KvTier.Storage.Format;

/// <summary>A piece of a record on the disk: a header region and the part of the payload that follows it.</summary>
/// <param name="Address">Where its header begins.</param>
/// <param name="HeaderBytes">Bytes of the header region: 512, or 1024 when the key is long.</param>
/// <param name="PayloadOffset">First byte of the payload that is in this piece.</param>
/// <param name="PayloadBytes">Bytes of the payload in this piece.</param>
internal readonly record struct Fragment(long Address, int HeaderBytes, int PayloadOffset, int PayloadBytes)
{
    public long PayloadAddress => Address + HeaderBytes;

    public int PaddedPayloadBytes => LogGeometry.RoundUp(PayloadBytes);

    public int TotalBytes => HeaderBytes + PaddedPayloadBytes;

    public long End => Address + TotalBytes;
}

/// <summary>
/// Sizes of pages and segments, and where the pieces of a record lie: both follow from the record's address and lengths alone,
/// so a reader knows every piece's place before it has read anything.
/// </summary>
internal readonly record struct LogGeometry(int PageBits, int SegmentBits)
{
    /// <summary>Every record, header and payload begins at a multiple of this, which O_DIRECT asks for.</summary>
    public const int Align = 512;

    /// <summary>The first record of a new log; 0 is no address.</summary>
    public const long FirstAddress = Align;

    private const int PageBitsMin = 14;
    private const int SegmentBitsMax = 30;

    public int PageBytes => 1 << PageBits;

    public long SegmentBytes => 1L << SegmentBits;

    public bool IsValid => PageBits is >= PageBitsMin and <= 26 && SegmentBits > PageBits && SegmentBits <= SegmentBitsMax;

    public static int RoundUp(int bytes) => (bytes + (Align - 1)) & ~(Align - 1);

    /// <summary>A sixteenth of the cap makes a segment, so that dropping one loses little and the cap is used well.</summary>
    public static LogGeometry Choose(long capBytes, int pageBytes)
    {
        int segmentBits = Math.Clamp(BitOperations.Log2((ulong)capBytes) - 4, PageBitsMin + 1, SegmentBitsMax);
        int pageBits = Math.Clamp(BitOperations.Log2((uint)pageBytes), PageBitsMin, segmentBits - 1);
        return new LogGeometry(pageBits, segmentBits);
    }

    public static int HeaderBytes(int keyLength) => keyLength <= RecordHeader.ShortKeyMax ? Align : 2 * Align;

    public long SegmentOf(long address) => address >> SegmentBits;

    public long SegmentStart(long segment) => segment << SegmentBits;

    public long OffsetInSegment(long address) => address & (SegmentBytes - 1);

    public int RoomInPage(long address) => PageBytes - (int)(address & (PageBytes - 1));

    /// <summary>Bytes of filler that go before a record, because the rest of the page can't take its header and a first piece.</summary>
    public int FillerBytes(long tail, int headerBytes, int payloadLength)
    {
        int room = RoomInPage(tail);
        return room < headerBytes + Math.Min(RoundUp(payloadLength), Align) ? room : 0;
    }

    public Fragment First(long address, int headerBytes, int payloadLength) =>
        new(address, headerBytes, 0, Math.Min(payloadLength, Math.Max(0, RoomInPage(address) - headerBytes)));

    /// <summary>The piece after this one.</summary>
    /// <returns>False when this one is the last.</returns>
    public bool TryNext(in Fragment fragment, int payloadLength, out Fragment next)
    {
        int offset = fragment.PayloadOffset + fragment.PayloadBytes;
        next = new Fragment(fragment.End, Align, offset, Math.Min(payloadLength - offset, PageBytes - Align));
        return offset < payloadLength;
    }

    /// <summary>The piece that holds a byte of a record's payload.</summary>
    /// <param name="first">The record's first piece.</param>
    /// <param name="payloadLength">Bytes of the payload.</param>
    /// <param name="offset">The byte, below <paramref name="payloadLength"/>.</param>
    /// <param name="index">Number of the piece, from 0.</param>
    public Fragment At(in Fragment first, int payloadLength, int offset, out uint index)
    {
        index = 0;
        if (offset < first.PayloadBytes) return first;
        int perPage = PageBytes - Align;
        int pages = (offset - first.PayloadBytes) / perPage;
        int begin = first.PayloadBytes + (pages * perPage);
        index = (uint)pages + 1;
        return new Fragment(first.End + ((long)pages * PageBytes), Align, begin, Math.Min(payloadLength - begin, perPage));
    }

    /// <summary>The address after a record's last piece.</summary>
    public long EndOf(long address, int headerBytes, int payloadLength)
    {
        Fragment first = First(address, headerBytes, payloadLength);
        int rest = payloadLength - first.PayloadBytes;
        if (rest == 0) return first.End;
        int perPage = PageBytes - Align;
        int last = rest % perPage;
        return first.End + ((long)(rest / perPage) * PageBytes) + (last == 0 ? 0 : Align + RoundUp(last));
    }
}
