namespace KvTier.Memory.Tests;

public sealed class ArenaTests : LeakGated
{
    [Fact]
    public void TryAllocate_ExactSizes_WasteNothing()
    {
        using Arena arena = Make(64 << 20);
        int[] sizes = [512, 1024, 2048, 4096, 16 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20, 2 << 20, 2_359_296, 5 << 20, 32 << 20];
        foreach (int bytes in sizes)
        {
            Assert.True(arena.TryAllocate(bytes, out ArenaSlot slot));
            Assert.Equal(bytes, slot.Capacity);
            arena.Free(slot);
        }
    }

    [Fact]
    public void TryAllocate_EveryLength_WastesAtMostAQuarterBeyondRounding()
    {
        using Arena arena = Make(64 << 20);
        for (int length = 1; length <= 8 << 20; length += length < 1 << 20 ? 509 : 65_521)
        {
            Assert.True(arena.TryAllocate(length, out ArenaSlot slot));
            int unit = length <= 3584 ? 512 : 4096;
            int rounded = (length + unit - 1) / unit * unit;
            if (slot.Capacity - rounded > slot.Capacity / 4) Assert.Fail($"{length} bytes took {slot.Capacity}");
            arena.Free(slot);
        }
    }

    [Fact]
    public void TryAllocate_FullArena_RefusesAndTakesAgainAfterFree()
    {
        using Arena arena = Make(1 << 20);
        var slots = new List<ArenaSlot>();
        while (arena.TryAllocate(64 << 10, out ArenaSlot slot)) slots.Add(slot);
        Assert.Equal(16, slots.Count);
        Assert.Equal(arena.CapacityBytes, arena.UsedBytes);
        Assert.False(arena.TryAllocate(1, out ArenaSlot none));
        Assert.True(none.IsNone);
        arena.Free(slots[5]);
        Assert.True(arena.TryAllocate(64 << 10, out ArenaSlot again));
        Assert.Equal(slots[5], again);
    }

    [Fact]
    public void Free_LastSlotOfASlab_GivesItsExtentToOtherSizes()
    {
        using Arena arena = Make(256 << 10);
        Assert.True(arena.TryAllocate(512, out ArenaSlot small));
        Assert.False(arena.TryAllocate(4096, out _));
        arena.Free(small);
        Assert.Equal(arena.CapacityBytes, arena.FreeExtentBytes);
        Assert.True(arena.TryAllocate(256 << 10, out ArenaSlot whole));
        arena.Free(whole);
    }

    [Fact]
    public void TryAllocate_NoRunForASlabOfSeveralExtents_TakesWholeExtents()
    {
        using Arena arena = Make(512 << 10);
        Assert.True(arena.TryAllocate(320 << 10, out ArenaSlot slot));
        Assert.Equal(512 << 10, slot.Capacity);
        arena.Free(slot);
    }

    [Fact]
    public void Free_TwiceOrForeign_Throws()
    {
        using Arena arena = Make(4 << 20);
        Assert.True(arena.TryAllocate(4096, out ArenaSlot small));
        Assert.True(arena.TryAllocate(4096, out ArenaSlot neighbour));
        Assert.True(arena.TryAllocate(1 << 20, out ArenaSlot large));
        ArenaSlot[] foreign =
        [
            small with { Capacity = 8192 }, small with { Offset = small.Offset + 512 }, large with { Capacity = 512 << 10 },
            large with { Offset = large.Offset + Arena.ExtentBytes }, new(0, 4096), new(-4096, 4096), new(1L << 40, 4096),
                new(long.MinValue, 512),
        ];
        foreach (ArenaSlot slot in foreign) Assert.Throws<ArgumentException>(() => arena.Free(slot));
        arena.Free(small);
        Assert.Throws<ArgumentException>(() => arena.Free(small));
        arena.Free(neighbour);
        Assert.Throws<ArgumentException>(() => arena.Free(neighbour));
        arena.Free(large);
        Assert.Throws<ArgumentException>(() => arena.Free(large));
        arena.Free(ArenaSlot.None);
        Assert.Equal(0, arena.UsedBytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(Arena.SlotBytesMax + 1)]
    public void TryAllocate_LengthOutside_Throws(int length)
    {
        using Arena arena = Make(1 << 20);
        Assert.Throws<ArgumentOutOfRangeException>(() => arena.TryAllocate(length, out _));
    }

    [Fact]
    public void TryAllocate_LargestSlot_Fits()
    {
        using Arena arena = Make(Arena.SlotBytesMax);
        Assert.True(arena.TryAllocate(Arena.SlotBytesMax, out ArenaSlot slot));
        Assert.Equal(Arena.SlotBytesMax, arena.Slice(slot.Offset, slot.Capacity).Length);
    }

    [Fact]
    public void TryAllocate_ArenaOfSeveralChunks_NoSlotReachesOverABorder()
    {
        // 3 GiB of address space; only the pages that are written are memory, and none is.
        using Arena arena = Make(3L << 30);
        int slots = 0;
        while (arena.TryAllocate(40 << 20, out ArenaSlot slot))
        {
            Assert.Equal(slot.Capacity, arena.Slice(slot.Offset, slot.Capacity).Length);
            Assert.Equal(slot.Offset >> 30, (slot.Offset + slot.Capacity - 1) >> 30);
            slots++;
        }

        Assert.Equal(3 * 25, slots);
    }

    [Fact]
    public void AllocateSliceFree_InSteadyState_AllocateNothingOnTheHeap()
    {
        using Arena arena = Make(8 << 20);
        int[] lengths = [100, 4096, 100_000, 300_000, 2 << 20];
        long sum = Cycle(arena, lengths);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) sum += Cycle(arena, lengths);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.NotEqual(0, sum);
    }

    [Fact]
    public void Slice_OutsideOrAfterDispose_Throws()
    {
        Arena arena = Make(1 << 20);
        Assert.Throws<ArgumentOutOfRangeException>(() => arena.Slice(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => arena.Slice(arena.CapacityBytes + Arena.ExtentBytes, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => arena.Slice(Arena.ExtentBytes, (int)arena.CapacityBytes + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => arena.Slice(1L << 40, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => arena.Slice(100 << 20, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => arena.Slice(Arena.ExtentBytes, -1));
        Assert.Equal(0, arena.Slice(0, 0).Length);
        Memory<byte> slice = arena.Slice(Arena.ExtentBytes, 16);
        arena.Dispose();
        arena.Dispose();
        Assert.Throws<ObjectDisposedException>(() => slice.Span[0]);
        Assert.Throws<ObjectDisposedException>(() => arena.TryAllocate(1, out _));
    }

    [Theory]
    [InlineData(0, null)]
    [InlineData(-5, null)]
    [InlineData(long.MaxValue, null)]
    [InlineData(1, "a/b")]
    [InlineData(1, "")]
    [InlineData(1, "..")]
    public void Create_BadOptions_NamesTheField(long capacity, string? name)
    {
        KvError? error = Arena.Create(new ArenaOptions { CapacityBytes = capacity, SharedName = name }).Error;
        Assert.Equal(ErrorCode.InvalidArgument, error?.Code);
        Assert.StartsWith("arena.", error!.Field, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_Prefault_TouchesEveryPage()
    {
        foreach (bool shared in (bool[])[false, true])
        {
            using Arena arena = Arena.Create(new ArenaOptions { CapacityBytes = 16 << 20, Shared = shared, Prefault = true }).Value;
            Assert.Null(arena.Fallback);
            Assert.True(ResidentBytes(arena) >= 16 << 20, $"{ResidentBytes(arena)} bytes resident, shared {shared}");
        }
    }

    /// <summary>Bytes of the arena's mapping that are in memory, by the kernel's count.</summary>
    private static unsafe long ResidentBytes(Arena arena)
    {
        fixed (byte* start = arena.Slice(Arena.ExtentBytes, 1).Span)
        {
            bool inside = false;
            foreach (string line in File.ReadLines("/proc/self/smaps"))
            {
                string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                string[] range = words[0].Split('-');
                if (range.Length == 2 && !words[0].EndsWith(':'))
                {
                    nint from = nint.Parse(range[0], System.Globalization.NumberStyles.HexNumber);
                    nint to = nint.Parse(range[1], System.Globalization.NumberStyles.HexNumber);
                    inside = from <= (nint)start && (nint)start < to;
                }
                else if (inside && words[0] == "Rss:")
                {
                    return long.Parse(words[1]) * 1024;
                }
            }
        }

        return -1;
    }

    private static long Cycle(Arena arena, int[] lengths)
    {
        long sum = 0;
        Span<ArenaSlot> slots = stackalloc ArenaSlot[lengths.Length];
        for (int i = 0; i < lengths.Length; i++)
        {
            if (!arena.TryAllocate(lengths[i], out slots[i])) throw new InvalidOperationException("arena full");
            arena.Slice(slots[i].Offset, lengths[i]).Span[0] = 1;
            sum += slots[i].Offset;
        }

        foreach (ArenaSlot slot in slots) arena.Free(slot);
        return sum;
    }

    private static Arena Make(long capacityBytes) => Arena.Create(new ArenaOptions { CapacityBytes = capacityBytes, Shared = false }).Value;
}
