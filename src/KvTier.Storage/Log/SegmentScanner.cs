using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>
/// Finds the records of a segment by its headers, hopping from one to the next; where there is none it looks on in steps of 512 bytes.
/// Records that may be torn have their payload's CRC checked as well. What it finds damaged below the durable address was committed, so it
/// looks for what follows; the first place after it without a good record is the log's end, and nothing behind that counts.
/// </summary>
internal sealed class SegmentScanner(SegmentTable segments, LogGeometry geometry, long durable) : IDisposable
{
    private const int SmallRead = 4096;
    private const int HopOverBytes = 128 << 10;
    private readonly SegmentWindow headers = new(segments, geometry);
    private readonly SegmentWindow payloads = new(segments, geometry);
    private uint lastEpoch;
    private long badRecord = -1;
    private bool inGarbage;
    private long lastHop;
    private bool ended;

    /// <summary>Called for each good record, with the address after it.</summary>
    public delegate void RecordHandler(in RecoveredRecord record, ReadOnlySpan<byte> key, long end);

    public long CorruptRecords { get; private set; }

    /// <summary>The address after the last good piece.</summary>
    public long GoodEnd { get; set; }

    /// <summary>The address after the last bytes that are neither good nor zero.</summary>
    public long BadEnd { get; private set; }

    /// <summary>The address after the last damage below what was committed; 0 when all that was committed is there.</summary>
    public long DamageEnd { get; private set; }

    /// <summary>
    /// Epoch of the commit record that names the durable address. Null where that address says nothing about what follows: then the log
    /// does not end at a hole. Default null.
    /// </summary>
    public uint? CommitEpoch { get; init; }

    /// <summary>The largest epoch seen.</summary>
    public uint Epoch { get; private set; }

    public long BytesRead => headers.BytesRead + payloads.BytesRead;

    /// <summary>
    /// Takes note of an epoch that an index names. It says when the index was written, which may be later than the records after it were,
    /// so it does not count for their order.
    /// </summary>
    public void SawEpoch(uint epoch) => Epoch = Math.Max(Epoch, epoch);

    /// <summary>Takes note that segments are missing before an address.</summary>
    public void SawGap(long end)
    {
        CorruptRecords++;
        DamageEnd = Math.Max(DamageEnd, Math.Min(end, durable));
    }

    /// <summary>Scans from an address to the end of its segment.</summary>
    /// <returns>The address after the last record that begins here, or the segment's end; where the log ends, if that is here.</returns>
    public long Scan(long from, bool verifyAll, RecordHandler handler)
    {
        long end = geometry.SegmentStart(geometry.SegmentOf(from) + 1);
        long position = from;
        int want = SegmentWindow.Bytes;
        inGarbage = false;
        while (position < end)
        {
            ReadOnlySpan<byte> bytes = headers.Get(position, 2 * LogGeometry.Align, want);
            if (bytes.IsEmpty) position = SkipUnreadable(position, end);
            else if (IsHeader(bytes, position, out RecordHeader header)) position = Take(header, bytes, verifyAll, handler);
            else position = SkipGarbage(bytes, position);
            want = lastHop > HopOverBytes ? SmallRead : SegmentWindow.Bytes;
            if (!ended) continue;
            MeasureRest(position, end);
            break;
        }

        inGarbage = false;
        return position;
    }

    public void Dispose()
    {
        headers.Dispose();
        payloads.Dispose();
    }

    private bool IsHeader(ReadOnlySpan<byte> bytes, long position, out RecordHeader header) =>
        RecordHeader.TryRead(bytes, out header, out _) && header.Address == position && header.Geometry == geometry
            && header.Epoch >= lastEpoch && !(IsBeyond(position) && header.Epoch < CommitEpoch);

    /// <summary>
    /// True where nothing was committed. Good records there were written by the opening that wrote the commit record, or by a later one.
    /// </summary>
    private bool IsBeyond(long position) => CommitEpoch is not null && position >= durable;

    /// <summary>The next place to look at: what was not committed is looked at from its first byte on.</summary>
    private long StepTo(long position, long next) => CommitEpoch is not null && position < durable ? Math.Min(next, durable) : next;

    private long Take(in RecordHeader header, ReadOnlySpan<byte> bytes, bool verifyAll, RecordHandler handler)
    {
        inGarbage = false;
        long pieceEnd = header.Address + header.TotalBytes;
        lastHop = header.TotalBytes;
        if (!header.IsFirst)
        {
            // A piece whose record was cut off with an older segment still holds its place; one of a bad record does not.
            if (header.FirstAddress != badRecord || header.Kind == PieceKind.Filler) GoodEnd = Math.Max(GoodEnd, pieceEnd);
            else BadEnd = Math.Max(BadEnd, pieceEnd);
            return StepTo(header.Address, pieceEnd);
        }

        long end = geometry.EndOf(header.Address, header.HeaderBytes, header.PayloadLength);
        if ((verifyAll || end > durable) && !PayloadIsGood(header))
        {
            badRecord = header.Address;
            CorruptRecords++;
            BadEnd = Math.Max(BadEnd, pieceEnd);
            SawDamage(header.Address);
            ended = IsBeyond(header.Address);
            return ended ? header.Address : StepTo(header.Address, pieceEnd);
        }

        lastEpoch = header.Epoch;
        SawEpoch(lastEpoch);
        GoodEnd = end;
        lastHop = end - header.Address;
        handler(header.ToRecord(), bytes.Slice(RecordHeader.FixedBytes, header.KeyLength), end);
        return end;
    }

    private long SkipUnreadable(long position, long end)
    {
        // What is missing or unreadable from here on is lost as a whole; the commit record tells whether something was there.
        lastHop = 0;
        SawDamage(position);
        ended = IsBeyond(position);
        return ended ? position : StepTo(position, NextWindow(position, end));
    }

    private static long NextWindow(long position, long end) =>
        Math.Min(end, (position / SegmentWindow.Bytes * SegmentWindow.Bytes) + SegmentWindow.Bytes);

    /// <summary>Finds the last bytes behind the log's end that are not zeros, whatever they look like.</summary>
    private void MeasureRest(long position, long end)
    {
        while (position < end)
        {
            ReadOnlySpan<byte> bytes = headers.Get(position, LogGeometry.Align, SegmentWindow.Bytes);
            int last = bytes.LastIndexOfAnyExcept((byte)0);
            if (last >= 0) BadEnd = Math.Max(BadEnd, position + LogGeometry.RoundUp(last + 1));
            position = bytes.Length < LogGeometry.Align
                ? NextWindow(position, end) : position + (bytes.Length / LogGeometry.Align * LogGeometry.Align);
        }
    }

    /// <summary>Each committed record begins where the one before it ends: whatever else stands there was one.</summary>
    private void SawDamage(long position)
    {
        if (position < durable) DamageEnd = Math.Max(DamageEnd, position + LogGeometry.Align);
    }

    private long SkipGarbage(ReadOnlySpan<byte> bytes, long position)
    {
        lastHop = 0;
        SawDamage(position);
        ended = IsBeyond(position);
        int zeros = bytes.IndexOfAnyExcept((byte)0);
        if (zeros < 0) zeros = Math.Max(LogGeometry.Align, bytes.Length);
        if (zeros < LogGeometry.Align)
        {
            if (!inGarbage) CorruptRecords++;
            inGarbage = true;
            BadEnd = Math.Max(BadEnd, position + LogGeometry.Align);
        }

        if (ended) return position;
        return StepTo(position, position + Math.Max(LogGeometry.Align, zeros / LogGeometry.Align * LogGeometry.Align));
    }

    private bool PayloadIsGood(in RecordHeader header)
    {
        uint crc = 0;
        uint index = 0;
        Fragment piece = header.Fragment;
        do
        {
            if (index > 0 && !IsPieceOf(header, piece, index)) return false;
            if (!TryAddPayload(piece, ref crc)) return false;
            index++;
        }
        while (geometry.TryNext(piece, header.PayloadLength, out piece));
        return crc == header.PayloadCrc;
    }

    private bool IsPieceOf(in RecordHeader record, in Fragment piece, uint index)
    {
        ReadOnlySpan<byte> bytes = payloads.Get(piece.Address, LogGeometry.Align, SegmentWindow.Bytes);
        return IsHeader(bytes, piece.Address, out RecordHeader header)
            && header.Kind == PieceKind.Continuation
            && header.FirstAddress == record.Address
            && header.FragmentIndex == index
            && header.Id == record.Id
            && header.Epoch == record.Epoch
            && header.Fragment == piece;
    }

    private bool TryAddPayload(in Fragment piece, ref uint crc)
    {
        long address = piece.PayloadAddress;
        int rest = piece.PayloadBytes;
        while (rest > 0)
        {
            int count = Math.Min(rest, SegmentWindow.Bytes);
            ReadOnlySpan<byte> bytes = payloads.Get(address, LogGeometry.RoundUp(count), SegmentWindow.Bytes);
            if (bytes.Length < count) return false;
            crc = Crc32C.Append(crc, bytes[..count]);
            address += count;
            rest -= count;
        }

        return true;
    }
}
