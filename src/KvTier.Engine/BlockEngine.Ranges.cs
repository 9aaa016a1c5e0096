namespace KvTier.Engine;

/// <summary>Reading parts of blocks.</summary>
public sealed partial class BlockEngine
{
    /// <summary>Blocks looked up under one hold of the lock.</summary>
    private const int RangeStep = 32;

    /// <summary>
    /// Reads ranges of a block without bringing the block into host memory: from its slot when it has one, else from the log. Counts
    /// no hit and touches nothing; see <see cref="Warm"/>.
    /// </summary>
    /// <remarks>The bytes are not checked: no check of a whole block covers a part. Who asks keeps checks of the parts, and calls
    /// <see cref="Quarantine"/> when one fails.</remarks>
    /// <param name="ns">The namespace.</param>
    /// <param name="id">The block.</param>
    /// <param name="ranges">Ranges of its payload.</param>
    /// <param name="destination">Takes them packed one after the other. It is not written after the call has completed.</param>
    /// <param name="deadline">Longest wait for the device.</param>
    /// <exception cref="ArgumentException">A range is negative, or the destination is too small.</exception>
    public ValueTask<RangeReadResult> ReadRangesAsync(
        ushort ns, BlockId id, ReadOnlyMemory<BlockRange> ranges, Memory<byte> destination, TimeSpan deadline)
    {
        RangeBounds bounds = RangeBounds.Of(ranges.Span, destination.Length);
        RangeLookup found;
        lock (state.Gate) found = RangeLookup.Find(state, ns, id, bounds.End);
        if (found.Place == RangePlace.Log) return ReadOneFromLogAsync(new BlockRanges(ns, id, ranges, destination), deadline);
        if (found.Place == RangePlace.Host)
        {
            CopyRanges(found.Lease, ranges.Span, destination.Span);
            Release(found.Lease);
        }

        return new ValueTask<RangeReadResult>(found.ToResult(bounds.End));
    }

    /// <summary>Reads ranges of many blocks at once, as <see cref="ReadRangesAsync(ushort, BlockId, ReadOnlyMemory{BlockRange},
    /// Memory{byte}, TimeSpan)"/> does for one.</summary>
    /// <param name="blocks">What is wanted.</param>
    /// <param name="results">Takes one result for each block; at least as long as <paramref name="blocks"/>.</param>
    /// <param name="deadline">Longest wait for the device; blocks that were not read by then have reason
    /// <see cref="MissReason.Deadline"/>.</param>
    /// <exception cref="ArgumentException">A range is negative, or a destination or the results are too small.</exception>
    public ValueTask ReadRangesAsync(ReadOnlyMemory<BlockRanges> blocks, Memory<RangeReadResult> results, TimeSpan deadline)
    {
        if (results.Length < blocks.Length)
            throw new ArgumentException($"has room for {results.Length} results; {blocks.Length} are needed", nameof(results));
        foreach (ref readonly BlockRanges block in blocks.Span) _ = RangeBounds.Of(block.Ranges.Span, block.Destination.Length);
        RangeBatch? batch = null;
        for (int start = 0; start < blocks.Length; start += RangeStep)
        {
            int count = Math.Min(RangeStep, blocks.Length - start);
            ReadStep(blocks.Span.Slice(start, count), results, start, ref batch);
        }

        if (batch is null) return ValueTask.CompletedTask;
        lock (state.Gate) batch.End();
        return AwaitAsync(batch, deadline);
    }

    /// <summary>Puts a block away whose bytes failed their check: it is a miss with reason <see cref="MissReason.Corrupt"/> until it is
    /// put again, and is counted.</summary>
    /// <param name="ns">The namespace.</param>
    /// <param name="id">The block.</param>
    /// <param name="payloadCrc">From the result of the read; when the block has other content by now, nothing is done. Default: whatever
    /// is there.</param>
    /// <returns>False when the block is not here or has other content.</returns>
    public bool Quarantine(ushort ns, BlockId id, uint? payloadCrc = null)
    {
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            if (payloadCrc is { } crc && state.Index[number].Crc != crc) return false;
            state.Counters.CorruptBlocks++;
            state.Remove(number, MissReason.Corrupt, tombstone: true);
            return true;
        }
    }

    // Looks some blocks up under one hold of the lock, sends the device off, and copies meanwhile what is in host memory.
    private void ReadStep(ReadOnlySpan<BlockRanges> blocks, Memory<RangeReadResult> results, int start, ref RangeBatch? batch)
    {
        Span<RangeLookup> found = stackalloc RangeLookup[RangeStep];
        Span<RangeReadResult> own = results.Span[start..];
        RangeRead? last = null;
        bool isAdded = false;
        int leases = 0;
        lock (state.Gate)
        {
            for (int i = 0; i < blocks.Length; i++)
            {
                long end = RangeBounds.Of(blocks[i].Ranges.Span).End;
                found[i] = RangeLookup.Find(state, blocks[i].Namespace, blocks[i].Id, end);
                if (found[i].Place == RangePlace.Host) leases++;
                if (found[i].Place != RangePlace.Log) continue;

                // Before the read can report what became of it.
                own[i] = found[i].ToResult(end);
                if (!RangeReader.TryExtend(last, start + i, blocks[i]))
                    last = ranges!.Add(batch ??= new RangeBatch(results), start + i, blocks[i], found[i].Entry);
                isAdded = true;
            }
        }

        if (isAdded) ranges!.Launch();
        for (int i = 0; i < blocks.Length; i++)
        {
            if (found[i].Place == RangePlace.Log) continue;
            if (found[i].Place == RangePlace.Host) CopyRanges(found[i].Lease, blocks[i].Ranges.Span, blocks[i].Destination.Span);
            own[i] = found[i].ToResult(RangeBounds.Of(blocks[i].Ranges.Span).End);
        }

        if (leases == 0) return;
        lock (state.Gate)
        {
            for (int i = 0; i < blocks.Length; i++)
            {
                if (found[i].Place == RangePlace.Host) state.EndLease(found[i].Lease);
            }
        }
    }

    private async ValueTask<RangeReadResult> ReadOneFromLogAsync(BlockRanges wanted, TimeSpan deadline)
    {
        var results = new RangeReadResult[1];
        await ReadRangesAsync(new[] { wanted }, results, deadline);
        return results[0];
    }

    private async ValueTask AwaitAsync(RangeBatch batch, TimeSpan deadline)
    {
        if (!await Waiting.ForAsync(batch.Done, deadline, state.Time)) ranges!.GiveUp(batch);
    }

    private void CopyRanges(in BlockLease lease, ReadOnlySpan<BlockRange> ranges, Span<byte> destination)
    {
        if (lease.Length == 0) return;
        ReadOnlySpan<byte> payload = state.Arena.Slice(lease.Offset, lease.Length).Span;
        foreach (BlockRange range in ranges)
        {
            payload.Slice(range.Offset, range.Length).CopyTo(destination);
            destination = destination[range.Length..];
        }
    }
}
