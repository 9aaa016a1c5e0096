using KvTier.Storage.Device;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>Where a recovered log goes on.</summary>
/// <param name="Begin">First address kept.</param>
/// <param name="Tail">Address of the next record.</param>
/// <param name="Epoch">Number of this opening.</param>
/// <param name="Errno">0, or why the device may not have kept what recovery made of the log.</param>
/// <param name="Summary">What was found.</param>
internal readonly record struct RecoveredLog(long Begin, long Tail, uint Epoch, int Errno, RecoverySummary Summary);

/// <summary>
/// Rebuilds the list of records: from the index of each segment that has one, by a scan of those that have none, and leaves a clean tail
/// behind. Damage among what was committed is counted and skipped; what was not committed counts up to its first hole. Nothing in the
/// files makes it throw. It may be cut short anywhere and done again, as the commit record is written only after it.
/// </summary>
internal sealed class LogRecovery(
    ISegmentStore store, SegmentTable segments, LogGeometry geometry, IndexKeeper indexes, CommitRecord? commit, ILogRecordSink sink)
{
    private readonly long durable = commit?.DurableAddress ?? 0;
    private long records;

    public RecoveredLog Run(TimeProvider time)
    {
        long startedAt = time.GetTimestamp();
        long[] numbers = segments.Numbers();
        using var scanner = new SegmentScanner(segments, geometry, durable) { CommitEpoch = commit?.Epoch };
        long first = numbers.Length == 0 ? 0 : numbers[0];
        long begin = Math.Max(LogGeometry.FirstAddress, geometry.SegmentStart(first));
        scanner.GoodEnd = begin;
        long position = begin;
        bool clean = commit is { Clean: true };
        foreach (long number in numbers)
        {
            long from = Math.Max(LogGeometry.FirstAddress, geometry.SegmentStart(number));
            if (position < from)
            {
                // The log ended before this segment, or segments of what was committed are missing.
                if (commit is not null && position >= durable) break;
                scanner.SawGap(from);
            }

            if (geometry.SegmentOf(position) == number) from = Math.Max(from, position);
            position = geometry.SegmentOf(position) > number ? SkipSegment(number, position) : RecoverSegment(number, from, clean, scanner);
        }

        long damageEnd = durable > scanner.GoodEnd ? durable : scanner.DamageEnd;
        long cut = Math.Max(0, scanner.BadEnd - scanner.GoodEnd);
        long corrupt = scanner.CorruptRecords;
        if (durable > scanner.GoodEnd)
        {
            // The commit record promises more than there is: the files were cut.
            cut = Math.Max(cut, durable - scanner.GoodEnd);
            if (scanner.BadEnd < scanner.GoodEnd) corrupt++;
        }

        int errno = CutTail(scanner);
        GoOnAt(scanner.GoodEnd, numbers);
        if (errno == 0 && !(clean && cut == 0)) errno = Sync(scanner.GoodEnd, numbers);
        uint epoch = Math.Max(scanner.Epoch, commit?.Epoch ?? 0) + 1;
        bool wasClean = (clean || (commit is null && numbers.Length == 0)) && corrupt == 0 && cut == 0;
        var summary = new RecoverySummary(wasClean, records, corrupt, cut, scanner.BytesRead, time.GetElapsedTime(startedAt))
        {
            DamageEnd = damageEnd,
        };
        return new RecoveredLog(begin, scanner.GoodEnd, epoch, errno, summary);
    }

    /// <summary>A segment that lies wholly inside a record that began before it.</summary>
    private long SkipSegment(long number, long position)
    {
        indexes.Begin(number, position);
        return position;
    }

    private long RecoverSegment(long number, long from, bool clean, SegmentScanner scanner)
    {
        long end = geometry.SegmentStart(number + 1);
        Segment segment = segments.Acquire(number)!;
        bool full = segment.Full;
        segments.Release(segment);
        using SegmentIndexFile.LoadedIndex? index = full ? SegmentIndexFile.Load(store.PathOf(SegmentIndexFile.NameOf(number))) : null;
        if (index is not null && IsUsable(index.Header, number, from))
        {
            segment.IndexBytes = index.Header.EntryBytes;
            segments.Charge(index.Header.EntryBytes);
            scanner.SawEpoch(index.Header.Epoch);
            from = index.Header.NextAddress;
            bool whole = from >= end;
            if (!whole) indexes.Begin(number, from);
            PassIndex(index, whole);
            scanner.GoodEnd = Math.Max(scanner.GoodEnd, from);
            if (whole || (clean && from == durable)) return from;
        }
        else
        {
            indexes.Begin(number, from);
            if (clean && full && from == durable) return from;
        }

        return scanner.Scan(from, verifyAll: !full, OnScanned);
    }

    private bool IsUsable(in SegmentIndexHeader header, long number, long from) =>
        header.Geometry == geometry && header.Segment == number && header.NextAddress >= from && header.NextAddress % LogGeometry.Align == 0
        && header.NextAddress - geometry.SegmentStart(number) <= geometry.SegmentBytes + (2L * RecordBytesMax());

    private long RecordBytesMax() => geometry.EndOf(LogGeometry.FirstAddress, LogGeometry.Align, 64 << 20);

    private void PassIndex(SegmentIndexFile.LoadedIndex index, bool whole)
    {
        if (whole)
        {
            records += IndexKeeper.Pass(index.Entries, index.Header.Version, sink);
            return;
        }

        ReadOnlySpan<byte> entries = index.Entries;
        while (SegmentIndexFile.TryReadEntry(ref entries, index.Header.Version, out RecoveredRecord record, out ReadOnlySpan<byte> key))
        {
            OnScanned(record, key, index.Header.NextAddress);
        }
    }

    private void OnScanned(in RecoveredRecord record, ReadOnlySpan<byte> key, long end)
    {
        segments.Charge(SegmentIndexFile.EntryBytes(key.Length));
        indexes.Add(record, key, end);
        sink.OnRecord(record, key);
        records++;
    }

    /// <summary>Segments after the tail were made for a record that never came; the log goes on in the tail's own.</summary>
    private void GoOnAt(long tail, long[] numbers)
    {
        long current = geometry.SegmentOf(tail);
        foreach (long number in numbers.Where(number => number > current)) segments.Drop(number);
        indexes.Resume(current, tail);
    }

    /// <summary>Makes the bytes after the tail zeros, so that nothing behind it is ever seen again; later segments are dropped.</summary>
    /// <returns>0 or an errno.</returns>
    private int CutTail(SegmentScanner scanner)
    {
        long tail = scanner.GoodEnd;
        long number = geometry.SegmentOf(tail);
        long offset = geometry.OffsetInSegment(tail);
        long length = Math.Min(scanner.BadEnd, geometry.SegmentStart(number + 1)) - tail;
        if (length <= 0 || segments.Acquire(number) is not { } segment) return 0;

        // A full disk may not give a file that was cut its room back yet; an append asks again.
        if (segments.EnsureFull(segment) != 0)
            length = Math.Min(length, (segment.File.SizeBytes - offset) / LogGeometry.Align * LogGeometry.Align);
        int errno = length > 0 ? segment.File.Zero(offset, length) : 0;
        segments.Release(segment);
        return errno;
    }

    /// <summary>
    /// Makes durable what was found after the durable address and what was cut off, as the next commit record counts both as done and the
    /// next commit syncs only what comes after.
    /// </summary>
    /// <returns>0 or an errno.</returns>
    private int Sync(long tail, long[] numbers)
    {
        long first = geometry.SegmentOf(Math.Min(durable, tail));
        int errno = 0;
        foreach (long number in numbers.Where(number => number >= first && number <= geometry.SegmentOf(tail)))
        {
            if (segments.Acquire(number) is not { } segment) continue;
            if (errno == 0) errno = segment.File.Sync();
            segments.Release(segment);
        }

        return errno;
    }
}
