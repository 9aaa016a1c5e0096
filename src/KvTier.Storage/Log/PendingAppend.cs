using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>A record on its way into FasterLog, piece by piece. One instance per log, since one caller at a time appends.</summary>
internal sealed class PendingAppend(BlockLog log)
{
    private LogRecord record;
    private Fragment piece;
    private int filler;
    private uint index;
    private bool done;

    public long Address { get; private set; }

    public long End { get; private set; }

    public ReadOnlySpan<byte> Key => record.Key.Span;

    public void Begin(in LogRecord newRecord, long address, long end, int fillerBytes, int headerBytes)
    {
        record = newRecord;
        Address = address;
        End = end;
        filler = fillerBytes;
        index = 0;
        done = false;
        piece = log.Geometry.First(address, headerBytes, newRecord.Payload.Length);
    }

    /// <summary>Gives FasterLog all it takes.</summary>
    /// <returns>False when it must be tried again later.</returns>
    public bool TryRun()
    {
        if (filler > 0)
        {
            if (!log.TryEnqueue(Filler(), Address - filler)) return false;
            filler = 0;
        }

        while (!done)
        {
            RecordHeader header = log.HeaderOf(record, piece, Address, index);
            var entry = new FragmentEntry(
                header, index == 0 ? record.Key : default, record.Payload.Slice(piece.PayloadOffset, piece.PayloadBytes));
            if (!log.TryEnqueue(entry, piece.Address)) return false;
            index++;
            done = !log.Geometry.TryNext(piece, record.Payload.Length, out piece);
        }

        return true;
    }

    public RecoveredRecord ToRecord() => new()
    {
        Kind = record.Kind,
        Address = new LogAddress(Address),
        Namespace = record.Namespace,
        Id = record.Id,
        Group = record.Group,
        Codec = record.Codec,
        Length = record.Payload.Length,
        PayloadCrc = record.PayloadCrc,
        ExpiryUnixMs = record.ExpiryUnixMs,
    };

    /// <summary>Lets go of the caller's memory.</summary>
    public void Clear() => record = default;

    private FragmentEntry Filler()
    {
        var place = new Fragment(Address - filler, LogGeometry.Align, 0, filler - LogGeometry.Align);
        RecordHeader header = log.HeaderOf(default, place, place.Address, index: 0) with { Kind = PieceKind.Filler };
        return new FragmentEntry(header, default, default);
    }
}
