using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Brings the rows that a run needs: leases what is to be read whole, asks the hot set, reads the rest from the log in one batch,
/// and checks every granule.</summary>
internal sealed class Fetcher(BlockEngine engine, HotSet hot, WorkerPool pool, Planner planner, RecallCounters counters, ByteGate memory)
{
    /// <summary>Granules that are checked as one part of the work.</summary>
    private const int ChecksPerPart = 64;

    /// <summary>Fetches.</summary>
    /// <returns>Null when all that can be read is there; <see cref="ErrorCode.DeadlineExceeded"/> when the time ran out;
    /// <see cref="ErrorCode.LimitExceeded"/> or <see cref="ErrorCode.Busy"/> when there is no memory for what is to be read.</returns>
    internal async ValueTask<KvError?> FetchAsync(RecallRun run, Deadline deadline)
    {
        for (int i = 0; i < run.Sources.Count; i++)
        {
            if (run.Sources[i].IsWhole && !await LeaseWholeAsync(run, i, deadline)) return deadline.Error;
        }

        if (run.Reads.Count == 0) return null;
        hot.Take(run.Reads.Span);
        int[] order = MissesInOrder(run);
        if (order.Length > 0)
        {
            long own = OwnBytes(run, order);
            if (await TakeMemoryAsync(run, own, deadline) is { } noMemory) return Fail(run, order, noMemory);
            BlockRanges[] blocks = PrepareReads(run, order, (int)own);
            var results = new RangeReadResult[order.Length];
            await engine.ReadRangesAsync(blocks, results, deadline.Remaining);
            if (Array.Exists(results, result => result.Reason == MissReason.Deadline) && deadline.IsOver)
                return Fail(run, order, deadline.Error);
            Judge(run, order, results);
        }

        return null;
    }

    /// <summary>What was begun did not come: nothing of it may stay in the hot set.</summary>
    private static KvError Fail(RecallRun run, int[] order, KvError error)
    {
        foreach (int read in order) run.Reads[read].Reason = MissReason.Deadline;
        return error;
    }

    /// <summary>Takes memory from what all runs have together; the run gives it back when it ends.</summary>
    private async ValueTask<KvError?> TakeMemoryAsync(RecallRun run, long bytes, Deadline deadline)
    {
        if (bytes == 0) return null;
        if (bytes > Array.MaxLength) return KvError.LimitExceeded("recall.readBytes", bytes, Array.MaxLength);
        if (await memory.TakeAsync(bytes, deadline) is { } error) return error;
        run.Lend(memory, bytes);
        return null;
    }

    private async ValueTask<bool> LeaseWholeAsync(RecallRun run, int number, Deadline deadline)
    {
        SequenceGrain grain = run.Sources[number].Grain;
        SequenceState state = grain.State!;
        int block = run.Sources[number].Block;
        LeaseResult found = await engine.LeaseAsync(grain.Namespace, state[block].Id, deadline.Remaining);
        if (found.Reason == MissReason.Deadline && deadline.IsOver) return false;
        if (found.Reason != MissReason.None)
        {
            run.Sources[number].Reason = found.Reason;
            return true;
        }

        planner.SetLease(ref run.Sources[number], state[block], found.Lease);
        if (run.Sources[number].IsLeased)
            state.SetChecks(block, state.Checks.Compute(run.Sources[number].Payload.Span, state.TokensIn(block)));
        return true;
    }

    /// <summary>The reads that the hot set does not have, by place in the log's blocks.</summary>
    private int[] MissesInOrder(RecallRun run)
    {
        var misses = new List<int>();
        for (int i = 0; i < run.Reads.Count; i++)
        {
            ref GranuleRead read = ref run.Reads[i];
            ItemRun item = run[read.Item];
            if (read.IsHit) item.HotHits++;
            else item.HotMisses++;
            if (!read.IsHit) misses.Add(i);
        }

        int[] order = [.. misses];
        var places = new (int Source, int Offset)[order.Length];
        for (int i = 0; i < order.Length; i++)
            places[i] = (run.Reads[order[i]].Source, run.Reads[order[i]].KeyOffset);
        Array.Sort(places, order);
        return order;
    }

    /// <summary>Bytes of the reads that the hot set has no room for.</summary>
    private static long OwnBytes(RecallRun run, int[] order)
    {
        long bytes = 0;
        foreach (int number in order)
        {
            if (run.Reads[number].HotEntry < 0) bytes += run.Reads[number].Bytes;
        }

        return bytes;
    }

    private static BlockRanges[] PrepareReads(RecallRun run, int[] order, int bytes)
    {
        Memory<byte> own = bytes > 0 ? run.Borrow(bytes) : default;
        var ranges = new BlockRange[2 * order.Length];
        var blocks = new BlockRanges[order.Length];
        for (int i = 0; i < order.Length; i++)
        {
            ref GranuleRead read = ref run.Reads[order[i]];
            if (read.HotEntry < 0)
            {
                read.Memory = own[..read.Bytes];
                own = own[read.Bytes..];
            }

            ref BlockSource source = ref run.Sources[read.Source];
            ranges[2 * i] = new BlockRange(read.KeyOffset, read.KeyBytes);
            ranges[(2 * i) + 1] = new BlockRange(read.ValueOffset, read.Bytes - read.KeyBytes);
            int count = read.Bytes > read.KeyBytes ? 2 : 1;
            blocks[i] = new BlockRanges(
                source.Grain.Namespace, source.Grain.State![source.Block].Id, ranges.AsMemory(2 * i, count), read.Memory);
        }

        return blocks;
    }

    private void Judge(RecallRun run, int[] order, RangeReadResult[] results)
    {
        for (int i = 0; i < order.Length; i++)
        {
            ref GranuleRead read = ref run.Reads[order[i]];
            ref BlockSource source = ref run.Sources[read.Source];
            run[read.Item].SsdBytes += results[i].DeviceBytes;
            read.Reason = results[i].Reason;
            // A range beyond the end of the block: it has other, shorter content than was appended.
            bool isOther = results[i].Error is not null
                || (results[i].IsOk && results[i].PayloadCrc != source.Grain.State![source.Block].PayloadCrc);
            if (isOther) read.Reason = MissReason.Deleted;
        }

        pool.Run(new CheckWork(run, order), (order.Length + ChecksPerPart - 1) / ChecksPerPart);
        for (int i = 0; i < order.Length; i++)
        {
            ref GranuleRead read = ref run.Reads[order[i]];
            if (read.Reason != MissReason.Corrupt || results[i].Reason == MissReason.Corrupt) continue;
            ref BlockSource source = ref run.Sources[read.Source];
            counters.CorruptGranule();
            engine.Quarantine(source.Grain.Namespace, source.Grain.State![source.Block].Id, results[i].PayloadCrc);
        }
    }

    private sealed class CheckWork(RecallRun run, int[] order) : ParallelWork
    {
        internal override void Run(int part)
        {
            int end = Math.Min(order.Length, (part + 1) * ChecksPerPart);
            for (int i = part * ChecksPerPart; i < end; i++)
            {
                ref GranuleRead read = ref run.Reads[order[i]];
                if (read.Reason != MissReason.None) continue;
                ref BlockSource source = ref run.Sources[read.Source];
                uint expected = source.Grain.State![source.Block].Checks![read.Key.Granule];
                if (Crc32C.Compute(read.Memory.Span) != expected) read.Reason = MissReason.Corrupt;
                else read.IsChecked = true;
            }
        }
    }
}
