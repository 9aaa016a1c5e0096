using System.Diagnostics;
using System.Numerics;

namespace KvTier.Memory;

/// <summary>
/// Cuts slots from extents. All of its bookkeeping lies outside the arena, where no client that maps the arena can write.
/// </summary>
internal sealed class SlotAllocator : IDisposable
{
    /// <summary>Words of one slab's bitmap: a bit for each of the 512 smallest slots of an extent.</summary>
    private const int MapWords = (ExtentPool.ExtentBytes >> SizeClasses.StepShift) / 64;

    private readonly ExtentPool pool;
    private readonly NativeArray<ulong> freeMaps;
    private readonly int[] partial;

    public SlotAllocator(int extents)
    {
        pool = new ExtentPool(extents);
        freeMaps = new NativeArray<ulong>((long)extents * MapWords);
        partial = new int[SizeClasses.Count];
        Array.Fill(partial, -1);
    }

    /// <summary>Bytes in allocated slots.</summary>
    public long UsedBytes { get; private set; }

    /// <summary>Extents that are free.</summary>
    public int FreeExtents => pool.FreeExtents;

    /// <summary>Finds a slot.</summary>
    /// <param name="lengthBytes">1 to 64 MiB.</param>
    /// <param name="slot">The slot.</param>
    /// <param name="endExtent">The extent after the last one that the slot's slab or run takes.</param>
    public bool TryAllocate(int lengthBytes, out ArenaSlot slot, out int endExtent)
    {
        int number = SizeClasses.Find(lengthBytes);
        if (number != SizeClasses.WholeExtents)
        {
            int slab = partial[number];
            if (slab < 0) slab = MakeSlab(number);
            if (slab >= 0)
            {
                slot = TakeSlot(slab);
                endExtent = slab + pool[slab].Length;
                return true;
            }
        }

        // A class whose slab needs several extents falls back to a run of fewer.
        return TryTakeRun((lengthBytes + ExtentPool.ExtentBytes - 1) >> ExtentPool.ExtentShift, out slot, out endExtent);
    }

    /// <summary>Gives a slot back.</summary>
    /// <exception cref="ArgumentException">It is no slot that is allocated now.</exception>
    public void Free(ArenaSlot slot)
    {
        int extent = (int)(slot.Offset >> ExtentPool.ExtentShift);
        if (slot.Offset < ArenaHeader.AreaBytes || slot.Offset >= (long)pool.Extents << ExtentPool.ExtentShift) throw NotASlot(slot);
        ref Extent entry = ref pool[extent];
        switch (entry.Kind)
        {
            case ExtentKind.Large:
                if (slot != new ArenaSlot((long)extent << ExtentPool.ExtentShift, entry.Length << ExtentPool.ExtentShift))
                    throw NotASlot(slot);
                int length = entry.Length;
                entry = default;
                pool.Give(extent, length);
                break;
            case ExtentKind.Slab:
                FreeInSlab(extent, slot);
                break;
            case ExtentKind.SlabBody:
                FreeInSlab(entry.Start, slot);
                break;
            default:
                throw NotASlot(slot);
        }

        UsedBytes -= slot.Capacity;
    }

    /// <summary>Takes every free extent from one on out of use.</summary>
    public int Retire(int firstExtent) => pool.Retire(firstExtent);

    /// <summary>Frees the bookkeeping.</summary>
    public void Dispose()
    {
        pool.Dispose();
        freeMaps.Dispose();
    }

    private static ArgumentException NotASlot(ArenaSlot slot) =>
        new($"slot at {slot.Offset} of {slot.Capacity} bytes is not allocated (freed twice, or of another arena)", nameof(slot));

    private bool TryTakeRun(int extents, out ArenaSlot slot, out int endExtent)
    {
        int start = pool.Take(extents);
        endExtent = start + extents;
        if (start < 0)
        {
            slot = default;
            return false;
        }

        pool[start] = new Extent { Kind = ExtentKind.Large, Length = extents, Start = start };
        slot = new ArenaSlot((long)start << ExtentPool.ExtentShift, extents << ExtentPool.ExtentShift);
        UsedBytes += slot.Capacity;
        return true;
    }

    private int MakeSlab(int number)
    {
        SizeClass size = SizeClasses.Get(number);
        int slab = pool.Take(size.Extents);
        if (slab < 0) return -1;
        pool[slab] = new Extent
        {
            Kind = ExtentKind.Slab,
            Class = (byte)number,
            FreeSlots = (ushort)size.Slots,
            Length = size.Extents,
            Start = slab,
        };
        for (int i = 1; i < size.Extents; i++) pool[slab + i] = new Extent { Kind = ExtentKind.SlabBody, Start = slab, Length = 1 };
        Span<ulong> map = Map(slab);
        map.Clear();
        int slots = size.Slots;
        for (int word = 0; slots > 0; word++, slots -= 64) map[word] = slots >= 64 ? ulong.MaxValue : (1UL << slots) - 1;
        LinkPartial(slab, number);
        return slab;
    }

    private ArenaSlot TakeSlot(int slab)
    {
        ref Extent entry = ref pool[slab];
        Span<ulong> map = Map(slab);
        int word = 0;
        while (map[word] == 0) word++;
        int bit = BitOperations.TrailingZeroCount(map[word]);
        map[word] &= map[word] - 1;
        if (--entry.FreeSlots == 0) UnlinkPartial(slab);
        int bytes = SizeClasses.Get(entry.Class).Bytes;
        UsedBytes += bytes;
        return new ArenaSlot(((long)slab << ExtentPool.ExtentShift) + ((long)((word << 6) + bit) * bytes), bytes);
    }

    private void FreeInSlab(int slab, ArenaSlot slot)
    {
        ref Extent entry = ref pool[slab];
        SizeClass size = SizeClasses.Get(entry.Class);
        long start = slot.Offset - ((long)slab << ExtentPool.ExtentShift);
        int index = (int)(start / size.Bytes);
        if (slot.Capacity != size.Bytes || start % size.Bytes != 0 || index >= size.Slots) throw NotASlot(slot);
        ref ulong word = ref Map(slab)[index >> 6];
        ulong bit = 1UL << (index & 63);
        if ((word & bit) != 0) throw NotASlot(slot);
        word |= bit;
        if (entry.FreeSlots++ == 0) LinkPartial(slab, entry.Class);
        if (entry.FreeSlots < size.Slots) return;
        UnlinkPartial(slab);
        for (int i = 0; i < size.Extents; i++) pool[slab + i] = default;
        pool.Give(slab, size.Extents);
    }

    private void LinkPartial(int slab, int number)
    {
        int next = partial[number];
        ref Extent entry = ref pool[slab];
        Debug.Assert(entry.FreeSlots > 0, "a slab in the list has free slots");
        entry.Previous = -1;
        entry.Next = next;
        if (next >= 0) pool[next].Previous = slab;
        partial[number] = slab;
    }

    private void UnlinkPartial(int slab)
    {
        Extent entry = pool[slab];
        if (entry.Previous >= 0) pool[entry.Previous].Next = entry.Next;
        else partial[entry.Class] = entry.Next;
        if (entry.Next >= 0) pool[entry.Next].Previous = entry.Previous;
    }

    private Span<ulong> Map(int slab) => freeMaps.AsSpan((long)slab * MapWords, MapWords);
}
