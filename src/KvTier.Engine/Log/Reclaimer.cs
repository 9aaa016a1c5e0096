using System.Runtime.InteropServices;
using KvTier.Memory;

namespace KvTier.Engine;

/// <summary>
/// Frees the oldest segment of the log: what is hot, leased, pinned or internal is appended again and committed, the rest leaves the SSD
/// tier; then the segment is dropped. Stepped by the log's writer between its rounds.
/// </summary>
internal sealed class Reclaimer : ILogRecordSink, IDisposable
{
    private const int SectorBytes = 512;
    private const int RecordHeadBytes = 512;

    private readonly EngineState state;
    private readonly IBlockLog log;
    private readonly long segmentBytes;
    private readonly long capBytes;
    private readonly List<Candidate> candidates = [];
    private readonly List<(Candidate Candidate, LogAddress Address)> kept = [];
    private readonly byte[] key;
    private Arena? scratch;
    private int fruitless;
    private long deferredSegment = -1;

    internal Reclaimer(EngineState state, IBlockLog log)
    {
        this.state = state;
        this.log = log;
        segmentBytes = log.Status.SegmentBytes;
        capBytes = log.Status.CapBytes;
        key = new byte[EngineState.KeyBytesMax];
    }

    /// <summary>
    /// True when another segment does not fit and the last one is half full: the other half is for what is appended again.
    /// </summary>
    internal bool IsRoomLow
    {
        get
        {
            LogStatus status = log.Status;
            return status.Fault is null
                && status.DiskBytes + segmentBytes > capBytes
                && status.TailAddress % segmentBytes >= segmentBytes / 2
                && status.TailAddress / segmentBytes != deferredSegment;
        }
    }

    /// <summary>Payload bytes of one round of appends, so that a round does not eat the room that reclaiming needs.</summary>
    internal long BatchBytes => Math.Clamp(segmentBytes / 8, 1, state.Options.WriteBatchBytes);

    /// <summary>Bytes of hot blocks that are appended again from one segment, so that each one dropped makes room.</summary>
    private long HotBytesMax => segmentBytes / 4;

    /// <summary>Frees one segment.</summary>
    /// <param name="mustMakeRoom">True when the log has refused a record for want of room.</param>
    /// <returns>Null when done, or when there was nothing to do and nothing must be; else why the log stays full.</returns>
    internal async ValueTask<KvError?> ReclaimAsync(bool mustMakeRoom)
    {
        candidates.Clear();
        if (log.ListOldestSegment(this) < 0) return mustMakeRoom ? Full("no sealed segment to drop") : null;
        KvError? error = await KeepAsync();
        if (error is not null)
        {
            // While there is room yet, nothing is refused, and not tried again before there is none.
            deferredSegment = log.Status.TailAddress / segmentBytes;
            return mustMakeRoom ? error : null;
        }

        // The file goes first: once a block counts as evicted, a delete of it writes no tombstone, so a crash must not bring it back.
        log.DropOldestSegment();
        DropRest();
        return null;
    }

    /// <inheritdoc/>
    public void OnRecord(in RecoveredRecord record, ReadOnlySpan<byte> key)
    {
        if (record.Kind != LogRecordKind.Block) return;
        lock (state.Gate)
        {
            if (!TryFind(record.Namespace, record.Id, record.Address, out uint number)) return;
            ref BlockEntry entry = ref state.Index[number];
            bool mustKeep = state.IsPinned(number) || state.IsKept(number)
                || (entry.Slot >= 0 && state.Host.Slots[entry.Slot].Leases > 0);
            candidates.Add(new Candidate(record.Namespace, record.Id, record.Address, record.Length, mustKeep, entry.Has(EntryFlags.Hot)));
            entry.Flags &= ~EntryFlags.Hot;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => scratch?.Dispose();

    private static KvError Full(string why) => new(ErrorCode.DiskFull, "log.capBytes", why, "room for another segment");

    private async ValueTask<KvError?> KeepAsync()
    {
        long keptBytes = 0;
        kept.Clear();
        KvError? error = null;
        foreach (Candidate candidate in candidates.Where(each => each.MustKeep))
        {
            error = await KeepOneAsync(candidate);
            if (error is not null) break;
            keptBytes += CostOf(candidate);
        }

        long hotBytes = 0;
        foreach (Candidate candidate in candidates.Where(each => each.IsHot && !each.MustKeep))
        {
            hotBytes += CostOf(candidate);
            if (error is not null || hotBytes > HotBytesMax || await KeepOneAsync(candidate) is not null) break;
            keptBytes += CostOf(candidate);
        }

        // What was appended again is moved even when the rest could not be, so that the next try does not append it once more.
        if (kept.Count > 0 && await log.CommitAsync() is { } failed) return failed;
        lock (state.Gate)
        {
            foreach ((Candidate candidate, LogAddress address) in kept) NoteMoved(candidate, address);
        }

        fruitless = keptBytes > segmentBytes - (segmentBytes / 8) ? fruitless + 1 : 0;
        return fruitless > capBytes / segmentBytes ? Full("nearly every block is pinned or leased") : error;
    }

    private async ValueTask<KvError?> KeepOneAsync(Candidate candidate)
    {
        (LogAppendResult result, bool isGone) = await AppendAgainAsync(candidate);
        if (isGone) return null;
        if (result.Status == LogAppendStatus.CapReached) return Full("the blocks that have to stay leave no room");
        if (result.Status != LogAppendStatus.Appended) return Full("an append failed while a segment was reclaimed");
        kept.Add((candidate, result.Address));
        return null;
    }

    // Bytes of a record: header and key take one sector or two, the payload whole ones.
    private static long CostOf(in Candidate candidate) =>
        RecordHeadBytes + ((candidate.Length + SectorBytes - 1L) / SectorBytes * SectorBytes);

    private void NoteMoved(in Candidate candidate, LogAddress address)
    {
        if (!TryFind(candidate.Namespace, candidate.Id, candidate.Address, out uint number)) return;
        state.SetAddress(ref state.Index[number], address);
        state.Counters.Reappended++;
    }

    private async ValueTask<(LogAppendResult Result, bool IsGone)> AppendAgainAsync(Candidate candidate)
    {
        LogRecord record;
        int slot = -1;
        lock (state.Gate)
        {
            if (!TryFind(candidate.Namespace, candidate.Id, candidate.Address, out uint number)) return (default, true);
            ref BlockEntry entry = ref state.Index[number];
            state.Keys.Get(entry.Key, entry.KeyLength).CopyTo(key);
            record = new LogRecord
            {
                Kind = LogRecordKind.Block,
                Namespace = candidate.Namespace,
                Id = candidate.Id,
                Group = state.RecordedGroupOf(number),
                Codec = entry.Codec,
                PayloadCrc = entry.Crc,
                ExpiryUnixMs = entry.Expiry,
                Key = key.AsMemory(0, entry.KeyLength),
            };
            if (entry.Slot >= 0 && state.Host.Slots[entry.Slot].State == SlotState.Sealed)
            {
                slot = entry.Slot;
                state.Host.Slots[slot].Holds++;
                state.Host.Refresh(slot);
                record = record with { Payload = state.Host.Slice(slot, entry.Length) };
            }
        }

        if (slot < 0 && candidate.Length > 0)
        {
            Memory<byte> bytes = Scratch(candidate.Length);
            var read = new LogRead
            {
                Address = candidate.Address,
                Id = candidate.Id,
                Length = candidate.Length,
                Destination = bytes,
            };
            if ((await log.ReadAsync(read)).Status != LogReadStatus.Ok) return (default, true);
            record = record with { Payload = bytes[..candidate.Length] };
        }

        LogAppendResult result = await log.AppendAsync(record);
        if (slot >= 0)
        {
            lock (state.Gate) state.Unhold(slot);
        }

        return (result, false);
    }

    // What still points into the segment was not kept: in host memory it stays, as a block that a crash loses; else it is gone.
    private void DropRest()
    {
        lock (state.Gate)
        {
            foreach (Candidate candidate in candidates)
            {
                if (!TryFind(candidate.Namespace, candidate.Id, candidate.Address, out uint number)) continue;
                ref BlockEntry entry = ref state.Index[number];
                state.Counters.SsdEvictions++;
                if (entry.Slot >= 0 && state.Host.Slots[entry.Slot].State == SlotState.Sealed)
                {
                    state.SetAddress(ref entry, LogAddress.None);
                    entry.Flags &= ~EntryFlags.Traced;
                    if (state.IsKept(number)) state.WriteAgain(number);
                }
                else
                {
                    state.Remove(number, MissReason.Evicted, tombstone: false);
                }
            }
        }
    }

    private bool TryFind(NamespaceId id, BlockId block, LogAddress address, out uint number)
    {
        number = state.Namespaces.TryFind(id, out ushort ns) ? state.Index.Find(ns, block) : 0;
        return number != 0 && state.Index[number].Address == address;
    }

    private Memory<byte> Scratch(int length)
    {
        if (scratch is null || scratch.CapacityBytes < length)
        {
            scratch?.Dispose();
            scratch = Arena.Create(new ArenaOptions { CapacityBytes = length, Shared = false }).Value;
        }

        bool hasRoom = scratch.TryAllocate(length, out ArenaSlot slot);
        System.Diagnostics.Debug.Assert(hasRoom, "the scratch arena holds one slot at a time");
        scratch.Free(slot);
        return scratch.Slice(slot.Offset, slot.Capacity);
    }

    /// <summary>A block whose record lies in the segment.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Candidate(NamespaceId Namespace, BlockId Id, LogAddress Address, int Length, bool MustKeep, bool IsHot);
}
