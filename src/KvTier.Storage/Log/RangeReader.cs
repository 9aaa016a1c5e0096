using System.Runtime.InteropServices;
using KvTier.Storage.Device;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>
/// Reads ranges of one record at a time into its own memory and hands them on from there: whole sectors, as O_DIRECT asks for, in the order
/// of their addresses, and neighbours with one call. A header that lies in what is read anyway is checked.
/// </summary>
internal sealed unsafe class RangeReader(SegmentTable segments, LogGeometry geometry) : IDisposable
{
    /// <summary>
    /// Bytes that nobody asked for are read up to this many, rather than asking the device twice, or to see the header before them: a
    /// sector of flash, which the device reads as a whole.
    /// </summary>
    public const int GapBytes = 4096;

    /// <summary>Bytes of one call of the device; longer ranges take several.</summary>
    public const int ScratchBytes = 256 << 10;

    private const int PartsMax = 256;
    private readonly Part[] parts = new Part[PartsMax];
    private byte* scratch;
    private int count;
    private bool isSorted;
    private long start;
    private long end;
    private Fragment first;

    /// <summary>Reads all ranges of an operation and hands them to its sink.</summary>
    public LogReadStatus Read(ReadOperation operation)
    {
        int headerBytes = LogGeometry.HeaderBytes(operation.KeyLength);
        if (geometry.RoomInPage(operation.Address) < headerBytes) return LogReadStatus.Corrupt;
        if (scratch is null) scratch = (byte*)NativeMemory.AlignedAlloc(ScratchBytes, 4096);
        first = geometry.First(operation.Address, headerBytes, operation.Length);
        count = 0;
        isSorted = true;
        int packed = 0;
        foreach (BlockRange range in operation.Ranges)
        {
            LogReadStatus status = AddRange(operation, range, packed);
            if (status != LogReadStatus.Ok) return status;
            packed += range.Length;
        }

        return ReadParts(operation);
    }

    public void Dispose() => NativeMemory.AlignedFree(scratch);

    private LogReadStatus AddRange(ReadOperation operation, BlockRange range, int packed)
    {
        for (int offset = range.Offset; offset < range.End;)
        {
            Fragment fragment = geometry.At(first, operation.Length, offset, out uint index);
            int length = (int)Math.Min(range.End, fragment.PayloadOffset + fragment.PayloadBytes) - offset;
            long address = fragment.PayloadAddress + (offset - fragment.PayloadOffset);

            // Whole sectors of it have to fit the scratch memory.
            length = (int)Math.Min(length, ScratchBytes - (address % LogGeometry.Align));
            if (count == PartsMax)
            {
                LogReadStatus status = ReadParts(operation);
                if (status != LogReadStatus.Ok) return status;
            }

            if (count > 0 && address < parts[count - 1].Address) isSorted = false;
            parts[count++] = new Part(fragment, index, address, packed + (offset - range.Offset), length);
            offset += length;
        }

        return LogReadStatus.Ok;
    }

    private LogReadStatus ReadParts(ReadOperation operation)
    {
        if (!isSorted) parts.AsSpan(0, count).Sort(static (left, right) => left.Address.CompareTo(right.Address));
        for (int from = 0; from < count;)
        {
            Begin(parts[from]);
            int to = from + 1;
            while (to < count && TryJoin(parts[to])) to++;
            LogReadStatus status = ReadRun(operation, parts.AsSpan(from, to - from));
            if (status != LogReadStatus.Ok) return status;
            from = to;
        }

        count = 0;
        isSorted = true;
        return LogReadStatus.Ok;
    }

    /// <summary>Makes a part a piece of what is read next, if it is close to the rest and in the same file.</summary>
    private bool TryJoin(in Part part)
    {
        if (part.SectorStart > end + GapBytes || part.SectorEnd - start > ScratchBytes) return false;
        if (geometry.SegmentOf(part.Address) != geometry.SegmentOf(start)) return false;
        end = Math.Max(end, part.SectorEnd);
        return true;
    }

    private void Begin(in Part part)
    {
        bool withHeader = part.SectorStart - part.Fragment.Address <= GapBytes && part.SectorEnd - part.Fragment.Address <= ScratchBytes;
        start = withHeader ? part.Fragment.Address : part.SectorStart;
        end = part.SectorEnd;
    }

    private LogReadStatus ReadRun(ReadOperation operation, ReadOnlySpan<Part> run)
    {
        Segment? segment = segments.Acquire(geometry.SegmentOf(start));
        if (segment is null) return LogReadStatus.Gone;
        var vector = new IoVector((nint)scratch, (nint)(end - start));
        int error = segment.File.Read(new Span<IoVector>(ref vector), geometry.OffsetInSegment(start), out long read);
        segments.Release(segment);
        operation.DeviceBytes += read;
        if (error != 0) return LogReadStatus.IoError;
        if (read != end - start || !CheckHeaders(operation, run)) return LogReadStatus.Corrupt;
        foreach (ref readonly Part part in run)
        {
            operation.Sink!.OnBytes(part.Packed, new ReadOnlySpan<byte>(scratch + (part.Address - start), part.Length));
        }

        return LogReadStatus.Ok;
    }

    private bool CheckHeaders(ReadOperation operation, ReadOnlySpan<Part> run)
    {
        long seen = -1;
        foreach (ref readonly Part part in run)
        {
            long address = part.Fragment.Address;
            if (address == seen || address < start || part.Fragment.PayloadAddress > end) continue;
            seen = address;
            var region = new ReadOnlySpan<byte>(scratch + (address - start), part.Fragment.HeaderBytes);
            if (!RecordHeader.TryRead(region, out RecordHeader header, out _)
                || !operation.Owns(header, part.Fragment, part.Index, geometry)) return false;
        }

        return true;
    }

    /// <summary>A part of a range that lies in one piece of the record.</summary>
    private readonly record struct Part(Fragment Fragment, uint Index, long Address, int Packed, int Length)
    {
        public long SectorStart => Address & ~(LogGeometry.Align - 1L);

        public long SectorEnd => (Address + Length + LogGeometry.Align - 1) & ~(LogGeometry.Align - 1L);
    }
}
