using KvTier.Memory;

namespace KvTier.Recall;

/// <summary>Which granule of which block.</summary>
/// <param name="Block"><see cref="SequenceBlock.Number"/>.</param>
/// <param name="Granule">Its number in the block.</param>
internal readonly record struct HotKey(long Block, int Granule);

/// <summary>
/// Granules that recall picked and whose blocks are not in host memory, key rows then value rows, in memory of their own under a byte
/// budget. The one that was not picked for longest gives way; one that a recall uses now never does. Thread-safe.
/// </summary>
internal sealed class HotSet : IDisposable
{
    private const int None = -1;
    private readonly Lock gate = new();
    private readonly Arena? arena;
    private readonly long bytesMax;
    private readonly Dictionary<HotKey, int> index = [];
    private HotEntry[] entries = new HotEntry[64];
    private int free = None;
    private int used;
    private int oldest = None;
    private int newest = None;
    private bool closed;

    /// <summary>Makes an empty set.</summary>
    /// <param name="bytesMax">Bytes it may hold; 0 for none.</param>
    /// <exception cref="KvException">The system has no room.</exception>
    internal HotSet(long bytesMax)
    {
        this.bytesMax = bytesMax;
        if (bytesMax > 0) arena = Arena.Create(new ArenaOptions { CapacityBytes = bytesMax, Shared = false, Prefault = false }).Value;
    }

    /// <summary>Bytes of the entries.</summary>
    internal long Bytes { get; private set; }

    /// <summary>Entries that gave way since start.</summary>
    internal long Evictions { get; private set; }

    /// <summary>Entries.</summary>
    internal int Count => index.Count;

    /// <summary>
    /// Finds granules, and takes room for those that are not there. Every entry that it names is in use until <see cref="Release"/>.
    /// </summary>
    /// <param name="wants">Receives <see cref="GranuleRead.HotEntry"/>, the memory, and whether the bytes are there.</param>
    internal void Take(Span<GranuleRead> wants)
    {
        if (arena is null) return;
        lock (gate)
        {
            if (closed) return;
            foreach (ref GranuleRead want in wants)
            {
                if (index.TryGetValue(want.Key, out int found)) TakeKnown(ref want, found);
                else TakeNew(ref want);
            }
        }
    }

    /// <summary>Ends the use of entries. Those that were taken new and whose bytes did not come, or were not
    /// checked, go, whatever ended the recall.</summary>
    internal void Release(ReadOnlySpan<GranuleRead> reads)
    {
        if (arena is null) return;
        lock (gate)
        {
            foreach (ref readonly GranuleRead read in reads)
            {
                if (read.HotEntry == None) continue;
                ref HotEntry entry = ref entries[read.HotEntry];
                entry.Uses--;
                if (!read.IsHit) entry.IsFilled = read.IsChecked;
                if (!entry.IsFilled) Remove(read.HotEntry);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (gate)
        {
            closed = true;
            arena?.Dispose();
        }
    }

    private void TakeKnown(ref GranuleRead want, int number)
    {
        ref HotEntry entry = ref entries[number];
        // Another recall reads it just now: this one reads for itself.
        if (!entry.IsFilled) return;
        entry.Uses++;
        Unlink(number);
        LinkNewest(number);
        want.HotEntry = number;
        want.IsHit = true;
        want.Memory = arena!.Slice(entry.Slot.Offset, want.Bytes);
    }

    private void TakeNew(ref GranuleRead want)
    {
        if (!TryAllocate(want.Bytes, out ArenaSlot slot)) return;
        int number = TakeNumber();
        entries[number] = new HotEntry { Key = want.Key, Slot = slot, Uses = 1, Owner = want.Owner, Previous = None, Next = None };
        index.Add(want.Key, number);
        LinkNewest(number);
        Bytes += slot.Capacity;
        want.Owner.AddHotBytes(slot.Capacity);
        want.HotEntry = number;
        want.Memory = arena!.Slice(slot.Offset, want.Bytes);
    }

    private bool TryAllocate(int bytes, out ArenaSlot slot)
    {
        slot = ArenaSlot.None;
        int candidate = oldest;
        while (Bytes + bytes > bytesMax || !arena!.TryAllocate(bytes, out slot))
        {
            while (candidate != None && entries[candidate].Uses > 0) candidate = entries[candidate].Next;
            if (candidate == None) return false;
            int victim = candidate;
            candidate = entries[victim].Next;
            Remove(victim);
            Evictions++;
        }

        return true;
    }

    private int TakeNumber()
    {
        if (free != None)
        {
            int number = free;
            free = entries[number].Next;
            return number;
        }

        if (used == entries.Length) Array.Resize(ref entries, 2 * used);
        return used++;
    }

    private void Remove(int number)
    {
        ref HotEntry entry = ref entries[number];
        Unlink(number);
        index.Remove(entry.Key);
        Bytes -= entry.Slot.Capacity;
        entry.Owner.AddHotBytes(-entry.Slot.Capacity);
        arena!.Free(entry.Slot);
        entry = default;
        entry.Next = free;
        free = number;
    }

    private void Unlink(int number)
    {
        ref HotEntry entry = ref entries[number];
        if (entry.Previous == None) oldest = entry.Next;
        else entries[entry.Previous].Next = entry.Next;
        if (entry.Next == None) newest = entry.Previous;
        else entries[entry.Next].Previous = entry.Previous;
    }

    private void LinkNewest(int number)
    {
        ref HotEntry entry = ref entries[number];
        entry.Previous = newest;
        entry.Next = None;
        if (newest == None) oldest = number;
        else entries[newest].Next = number;
        newest = number;
    }

    private struct HotEntry
    {
        internal HotKey Key;
        internal ArenaSlot Slot;
        internal int Uses;
        internal bool IsFilled;
        internal RecallMemory Owner;
        internal int Previous;
        internal int Next;
    }
}
