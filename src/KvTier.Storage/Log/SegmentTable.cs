using KvTier.Storage.Device;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>The open segments, and the account of the bytes they take: the only place where the cap is decided.</summary>
internal sealed class SegmentTable(ISegmentStore store, LogGeometry geometry, long capBytes) : IDisposable
{
    /// <summary>Counted per segment for what a file system adds to a file: extent blocks, the rounding of the index file.</summary>
    public const long SegmentOverheadBytes = 16 << 10;

    /// <summary>Counted for the small files of the log: layout and commit record.</summary>
    public const long FixedBytes = 32 << 10;

    private readonly Dictionary<long, Segment> segments = [];
    private readonly Lock gate = new();
    private long diskBytes = FixedBytes;

    public long SegmentCost => geometry.SegmentBytes + SegmentOverheadBytes;

    public long DiskBytes => Interlocked.Read(ref diskBytes);

    public long? Oldest
    {
        get
        {
            lock (gate) return segments.Count == 0 ? null : segments.Keys.Min();
        }
    }

    /// <summary>Opens what is there.</summary>
    /// <returns>0 or the errno of the first segment that could not be opened.</returns>
    public int OpenExisting()
    {
        foreach (long number in store.List())
        {
            int error = store.Open(number, out ISegmentFile? file);
            if (error != 0) return error;
            lock (gate) segments.Add(number, new Segment(number, file!) { Full = file!.SizeBytes >= geometry.SegmentBytes });
            Interlocked.Add(ref diskBytes, SegmentCost);
        }

        return 0;
    }

    public long[] Numbers()
    {
        lock (gate) return [.. segments.Keys.Order()];
    }

    /// <summary>Makes sure that segments exist with all their room, and takes bytes of index for a record, within the cap.</summary>
    public LogAppendStatus Reserve(long first, long last, long indexBytes, out int errno)
    {
        errno = 0;
        for (long number = first; number <= last; number++)
        {
            LogAppendStatus status = EnsureSegment(number, indexBytes, out errno);
            if (status != LogAppendStatus.Appended) return status;
        }

        return TryCharge(indexBytes) ? LogAppendStatus.Appended : LogAppendStatus.CapReached;
    }

    /// <summary>Takes bytes from the cap.</summary>
    /// <returns>False when it leaves no room; nothing was taken.</returns>
    public bool TryCharge(long bytes)
    {
        lock (gate)
        {
            if (diskBytes + bytes > capBytes) return false;
            Interlocked.Add(ref diskBytes, bytes);
            return true;
        }
    }

    /// <summary>Counts bytes that are on the disk already, cap or not.</summary>
    public void Charge(long bytes) => Interlocked.Add(ref diskBytes, bytes);

    /// <summary>Takes a segment for use.</summary>
    /// <returns>Null when there is none (any more).</returns>
    public Segment? Acquire(long number)
    {
        lock (gate)
        {
            if (!segments.TryGetValue(number, out Segment? segment)) return null;
            segment.Users++;
            return segment;
        }
    }

    public void Release(Segment segment)
    {
        lock (gate)
        {
            if (--segment.Users > 0 || !segment.Dropped) return;
        }

        Close(segment);
    }

    /// <summary>
    /// Removes a segment and its index file. Its room is free when the last reader has gone. The file leaves the folder before readers
    /// find the segment gone, so that nothing they miss comes back after a crash.
    /// </summary>
    public void Drop(long number)
    {
        bool idle;
        Segment? segment;
        lock (gate)
        {
            if (!segments.ContainsKey(number)) return;
        }

        File.Delete(store.PathOf(SegmentIndexFile.NameOf(number)));
        store.Delete(number);
        lock (gate)
        {
            if (!segments.Remove(number, out segment)) return;
            segment.Dropped = true;
            idle = segment.Users == 0;
        }

        Interlocked.Add(ref diskBytes, -segment.IndexBytes);
        if (idle) Close(segment);
    }

    /// <summary>Gives a segment that was cut all of its room back.</summary>
    public int EnsureFull(Segment segment)
    {
        if (segment.Full) return 0;
        int error = segment.File.Preallocate(geometry.SegmentBytes);
        if (error == 0) segment.Full = true;
        return error;
    }

    public void Dispose()
    {
        lock (gate)
        {
            foreach (Segment segment in segments.Values) segment.File.Dispose();
            segments.Clear();
        }
    }

    private static LogAppendStatus StatusOf(int errno) => errno switch
    {
        0 => LogAppendStatus.Appended,
        Native.Enospc or Native.Edquot => LogAppendStatus.DiskFull,
        _ => LogAppendStatus.IoError,
    };

    private LogAppendStatus EnsureSegment(long number, long indexBytes, out int errno)
    {
        errno = 0;
        Segment? segment;
        lock (gate) segments.TryGetValue(number, out segment);
        if (segment is not null) return StatusOf(errno = EnsureFull(segment));

        // The account is charged before the file grows, so that it never says less than the disk.
        if (DiskBytes + SegmentCost + indexBytes > capBytes || !TryCharge(SegmentCost)) return LogAppendStatus.CapReached;
        errno = store.Create(number, geometry.SegmentBytes, out ISegmentFile? file);
        if (errno != 0)
        {
            Interlocked.Add(ref diskBytes, -SegmentCost);
            return StatusOf(errno);
        }

        lock (gate) segments.Add(number, new Segment(number, file!) { Full = true });
        return LogAppendStatus.Appended;
    }

    private void Close(Segment segment)
    {
        segment.File.Dispose();
        Interlocked.Add(ref diskBytes, -SegmentCost);
    }
}
