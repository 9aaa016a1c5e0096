using KvTier.Storage.Device;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>
/// The indexes that are not on the disk yet: of the segment being written, and of those whose records are not durable yet.
/// </summary>
internal sealed class IndexKeeper(ISegmentStore store, SegmentTable segments, LogGeometry geometry) : IDisposable
{
    private readonly Lock gate = new();
    private readonly List<SegmentIndexBuilder> pending = [];
    private readonly Stack<SegmentIndexBuilder> spare = new();
    private SegmentIndexBuilder? current;

    public uint Epoch { get; set; }

    /// <summary>Begins the index of a segment; the one before waits for its records to be durable.</summary>
    public void Begin(long segment, long nextAddress)
    {
        lock (gate)
        {
            if (current is not null) pending.Add(current);
            current = spare.TryPop(out SegmentIndexBuilder? reused) ? reused : new SegmentIndexBuilder();
            current.Begin(segment, nextAddress);
        }
    }

    /// <summary>Goes on with the index of a segment after recovery; those of later segments are void.</summary>
    public void Resume(long segment, long nextAddress)
    {
        lock (gate)
        {
            if (current is not null) pending.Add(current);
            current = pending.Find(builder => builder.Segment == segment);
            foreach (SegmentIndexBuilder builder in pending.Where(builder => builder.Segment > segment))
            {
                segments.Charge(-builder.ChargedBytes);
                builder.Dispose();
            }

            pending.RemoveAll(builder => builder.Segment >= segment);
        }

        if (current is null) Begin(segment, nextAddress);
    }

    /// <summary>
    /// Adds a record whose bytes of index were charged before. Begins new indexes when the record begins in another segment.
    /// </summary>
    /// <returns>True when a segment was finished.</returns>
    public bool Add(in RecoveredRecord record, ReadOnlySpan<byte> key, long end)
    {
        long segment = geometry.SegmentOf(record.Address.Value);
        bool finished = false;
        while (current!.Segment < segment)
        {
            Begin(current.Segment + 1, Math.Max(current.NextAddress, geometry.SegmentStart(current.Segment + 1)));
            finished = true;
        }

        lock (gate) current.Add(record, key, end);
        return finished;
    }

    /// <summary>Writes the indexes whose segments are wholly durable.</summary>
    /// <param name="durable">Address up to which the device has everything.</param>
    /// <param name="all">True to write those of unfinished segments too, at a clean close.</param>
    public void Write(long durable, bool all)
    {
        lock (gate)
        {
            if (all && current is not null)
            {
                pending.Add(current);
                current = null;
            }

            for (int i = pending.Count - 1; i >= 0; i--)
            {
                SegmentIndexBuilder builder = pending[i];
                long end = geometry.SegmentStart(builder.Segment + 1);
                if (builder.NextAddress > durable || (!all && end > durable)) continue;
                WriteOne(builder);
                pending.RemoveAt(i);
                Recycle(builder);
            }
        }
    }

    /// <summary>Forgets the index of a dropped segment.</summary>
    public void Forget(long segment)
    {
        lock (gate)
        {
            int at = pending.FindIndex(builder => builder.Segment == segment);
            if (at < 0) return;
            segments.Charge(-pending[at].ChargedBytes);
            Recycle(pending[at]);
            pending.RemoveAt(at);
        }
    }

    /// <summary>Passes the records of a segment whose index is still here to the sink.</summary>
    /// <returns>Their number; -1 when the index is not here.</returns>
    public long List(long segment, ILogRecordSink sink)
    {
        lock (gate)
        {
            SegmentIndexBuilder? builder = pending.Find(candidate => candidate.Segment == segment);
            return builder is null ? -1 : Pass(builder.Entries, SegmentIndexFile.Version, sink);
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            current?.Dispose();
            foreach (SegmentIndexBuilder builder in pending) builder.Dispose();
            foreach (SegmentIndexBuilder builder in spare) builder.Dispose();
            current = null;
            pending.Clear();
            spare.Clear();
        }
    }

    /// <summary>Passes the entries of an index to a sink, as far as they can be read.</summary>
    public static long Pass(ReadOnlySpan<byte> entries, int version, ILogRecordSink sink)
    {
        long count = 0;
        while (SegmentIndexFile.TryReadEntry(ref entries, version, out RecoveredRecord record, out ReadOnlySpan<byte> key))
        {
            sink.OnRecord(record, key);
            count++;
        }

        return count;
    }

    private void WriteOne(SegmentIndexBuilder builder)
    {
        Segment? segment = segments.Acquire(builder.Segment);
        if (segment is null)
        {
            segments.Charge(-builder.ChargedBytes);
            return;
        }

        bool written = builder.TryWrite(store.PathOf(SegmentIndexFile.NameOf(builder.Segment)), geometry, Epoch);
        segments.Charge(-segment.IndexBytes);
        segment.IndexBytes = written ? builder.ChargedBytes : 0;
        if (!written) segments.Charge(-builder.ChargedBytes);
        segments.Release(segment);
    }

    private void Recycle(SegmentIndexBuilder builder)
    {
        if (spare.Count < 1) spare.Push(builder);
        else builder.Dispose();
    }
}
