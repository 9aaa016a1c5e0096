using System.Runtime.InteropServices;
using KvTier.Storage.Device;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>
/// Reads one record at a time: headers into its own memory, payload pieces straight to their place in the destination, as many
/// pieces with one call as lie in one segment.
/// </summary>
internal sealed unsafe class RecordReader : IDisposable
{
    private const int PiecesMax = 64;
    private readonly SegmentTable segments;
    private readonly LogGeometry geometry;
    private readonly byte* headers = (byte*)NativeMemory.AlignedAlloc(PiecesMax * 2 * LogGeometry.Align, 4096);
    private readonly Fragment[] pieces = new Fragment[PiecesMax];
    private readonly IoVector[] vectors = new IoVector[2 * PiecesMax];

    public RecordReader(SegmentTable segments, LogGeometry geometry)
    {
        this.segments = segments;
        this.geometry = geometry;
    }

    /// <summary>Reads and checks identity; the payload's CRC is left to the caller.</summary>
    public LogReadStatus Read(ReadOperation operation)
    {
        // A record's header takes 512 bytes unless its key is long, which only the header tells.
        LogReadStatus status = ReadAs(operation, LogGeometry.Align, out bool longHeader);
        return longHeader ? ReadAs(operation, 2 * LogGeometry.Align, out _) : status;
    }

    public void Dispose() => NativeMemory.AlignedFree(headers);

    private LogReadStatus ReadAs(ReadOperation operation, int headerBytes, out bool longHeader)
    {
        longHeader = false;
        if (geometry.RoomInPage(operation.Address) < headerBytes) return LogReadStatus.Corrupt;
        Fragment fragment = geometry.First(operation.Address, headerBytes, operation.Length);
        uint index = 0;
        bool more = true;
        while (more)
        {
            int count = 0;
            long segment = geometry.SegmentOf(fragment.Address);
            do
            {
                pieces[count++] = fragment;
                more = geometry.TryNext(fragment, operation.Length, out fragment);
            }
            while (more && count < PiecesMax && geometry.SegmentOf(fragment.Address) == segment);

            LogReadStatus status = ReadPieces(operation, segment, count);
            if (status == LogReadStatus.Ok) status = CheckPieces(operation, count, index, ref longHeader);
            if (status != LogReadStatus.Ok) return status;
            index += (uint)count;
        }

        return LogReadStatus.Ok;
    }

    private LogReadStatus ReadPieces(ReadOperation operation, long number, int count)
    {
        int used = 0;
        long bytes = 0;
        byte* header = headers;
        for (int i = 0; i < count; i++)
        {
            vectors[used++] = new IoVector((nint)header, pieces[i].HeaderBytes);
            header += pieces[i].HeaderBytes;
            int length = pieces[i].PaddedPayloadBytes;
            if (length > 0) vectors[used++] = new IoVector((nint)(operation.Destination + pieces[i].PayloadOffset), length);
            bytes += pieces[i].TotalBytes;
        }

        Segment? segment = segments.Acquire(number);
        if (segment is null) return LogReadStatus.Gone;
        int error = segment.File.Read(vectors.AsSpan(0, used), geometry.OffsetInSegment(pieces[0].Address), out long read);
        segments.Release(segment);
        operation.DeviceBytes += read;
        if (error != 0) return LogReadStatus.IoError;
        return read == bytes ? LogReadStatus.Ok : LogReadStatus.Corrupt;
    }

    private LogReadStatus CheckPieces(ReadOperation operation, int count, uint index, ref bool longHeader)
    {
        byte* region = headers;
        for (int i = 0; i < count; i++, index++)
        {
            bool good = RecordHeader.TryRead(new ReadOnlySpan<byte>(region, pieces[i].HeaderBytes), out RecordHeader header, out int need);
            if (!good)
            {
                longHeader = i == 0 && index == 0 && need > pieces[0].HeaderBytes;
                return LogReadStatus.Corrupt;
            }

            if (!operation.Owns(header, pieces[i], index, geometry)) return LogReadStatus.Corrupt;
            operation.PayloadCrc = header.PayloadCrc;
            region += pieces[i].HeaderBytes;
        }

        return LogReadStatus.Ok;
    }
}
