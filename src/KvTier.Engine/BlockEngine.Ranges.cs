namespace KvTier.Engine;

/// <summary>Reading parts of blocks.</summary>
public sealed partial class BlockEngine
{
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
    public async ValueTask<RangeReadResult> ReadRangesAsync(
        ushort ns, BlockId id, ReadOnlyMemory<BlockRange> ranges, Memory<byte> destination, TimeSpan deadline)
    {
        LeaseResult found = await LeaseAsync(ns, id, deadline);
        if (found.Reason != MissReason.None) return new RangeReadResult(found.Reason, TierSet.None, 0);
        try
        {
            return CopyRanges(found.Lease, ranges.Span, destination.Span);
        }
        finally
        {
            Release(found.Lease);
        }
    }

    /// <summary>Reads ranges of many blocks at once, as <see cref="ReadRangesAsync(ushort, BlockId, ReadOnlyMemory{BlockRange},
    /// Memory{byte}, TimeSpan)"/> does for one.</summary>
    /// <param name="blocks">What is wanted.</param>
    /// <param name="results">Takes one result for each block; at least as long as <paramref name="blocks"/>.</param>
    /// <param name="deadline">Longest wait for the device; blocks that were not read by then have reason
    /// <see cref="MissReason.Deadline"/>.</param>
    /// <exception cref="ArgumentException">A range is negative, or a destination or the results are too small.</exception>
    public async ValueTask ReadRangesAsync(ReadOnlyMemory<BlockRanges> blocks, Memory<RangeReadResult> results, TimeSpan deadline)
    {
        for (int i = 0; i < blocks.Length; i++)
        {
            BlockRanges block = blocks.Span[i];
            RangeReadResult result = await ReadRangesAsync(block.Namespace, block.Id, block.Ranges, block.Destination, deadline);
            results.Span[i] = result;
        }
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

    private RangeReadResult CopyRanges(in BlockLease lease, ReadOnlySpan<BlockRange> ranges, Span<byte> destination)
    {
        ReadOnlySpan<byte> payload = lease.Length == 0 ? default : state.Arena.Slice(lease.Offset, lease.Length).Span;
        foreach (BlockRange range in ranges)
        {
            if (range.End > lease.Length)
                return new RangeReadResult(default, default, 0, 0, KvError.LimitExceeded("range.end", range.End, lease.Length));
            payload.Slice(range.Offset, range.Length).CopyTo(destination);
            destination = destination[range.Length..];
        }

        return new RangeReadResult(MissReason.None, lease.Source, 0, lease.PayloadCrc);
    }
}
