using System.Runtime.InteropServices;

namespace KvTier.Memory.Tests;

/// <summary>Random allocate and free against a plain model: what overlaps, what is aligned, what is counted, what comes back.</summary>
public sealed class ArenaModelTests : LeakGated
{
    private const int ExtentBytes = Arena.ExtentBytes;

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    [InlineData(3, true)]
    [InlineData(4, false)]
    public void TryAllocateAndFree_RandomSizes_MatchTheModel(int seed, bool shared)
    {
        var random = new Random(seed);
        using Arena arena = Arena.Create(new ArenaOptions { CapacityBytes = 48 << 20, Shared = shared }).Value;
        var model = new SortedDictionary<long, ArenaSlot>();
        var order = new List<ArenaSlot>();
        int refused = 0;
        for (int step = 0; step < 60_000; step++)
        {
            // Phases of filling and emptying, so that both exhaustion and empty extents are met.
            bool fill = random.NextDouble() < (step / 5_000 % 2 == 0 ? 0.65 : 0.35);
            if (fill)
            {
                int length = RandomLength(random);
                if (!arena.TryAllocate(length, out ArenaSlot slot))
                {
                    refused++;
                    continue;
                }

                CheckNewSlot(model, slot, length, arena);
                model.Add(slot.Offset, slot);
                order.Add(slot);
                Mark(arena, slot);
            }
            else if (order.Count > 0)
            {
                int index = random.Next(order.Count);
                ArenaSlot slot = order[index];
                order[index] = order[^1];
                order.RemoveAt(order.Count - 1);
                CheckMark(arena, slot);
                model.Remove(slot.Offset);
                arena.Free(slot);
            }

            if (step % 1_000 == 0) Assert.Equal(model.Values.Sum(slot => (long)slot.Capacity), arena.UsedBytes);
        }

        Assert.True(refused > 0, "the arena was never full: the test does not reach exhaustion");
        Assert.Equal(model.Values.Sum(slot => (long)slot.Capacity), arena.UsedBytes);
        foreach (ArenaSlot slot in order)
        {
            CheckMark(arena, slot);
            arena.Free(slot);
        }

        Assert.Equal(0, arena.UsedBytes);
        Assert.Equal(arena.CapacityBytes, arena.FreeExtentBytes);
        // All extents are one run again: one slot of 48 MiB fills the arena to the last byte.
        Assert.True(arena.TryAllocate(48 << 20, out ArenaSlot whole));
        Assert.Equal(arena.CapacityBytes, whole.Capacity);
        Assert.False(arena.TryAllocate(1, out _));
        arena.Free(whole);
    }

    private static void CheckNewSlot(SortedDictionary<long, ArenaSlot> model, ArenaSlot slot, int length, Arena arena)
    {
        Assert.True(slot.Capacity >= (length + 511) / 512 * 512);
        Assert.Equal(0, slot.Capacity % 512);
        Assert.Equal(0, slot.Offset % (slot.Capacity >= 4096 ? 4096 : 512));
        Assert.True(slot.Offset >= ExtentBytes && slot.Offset + slot.Capacity <= arena.CapacityBytes + ExtentBytes);
        foreach (ArenaSlot other in model.Values)
        {
            bool apart = slot.Offset + slot.Capacity <= other.Offset || other.Offset + other.Capacity <= slot.Offset;
            if (!apart) Assert.Fail($"{slot} overlaps {other}");
        }
    }

    private static int RandomLength(Random random) => random.Next(10) switch
    {
        0 => random.Next(1, 512),
        1 => random.Next(1, 8 << 20),
        2 => 64 << 10,
        3 => 4096,
        _ => (int)Math.Exp(random.NextDouble() * Math.Log(1 << 20)),
    };

    private static void Mark(Arena arena, ArenaSlot slot)
    {
        MemoryMarshal.Write(arena.Slice(slot.Offset, 8).Span, slot.Offset);
        MemoryMarshal.Write(arena.Slice(slot.Offset + slot.Capacity - 8, 8).Span, ~slot.Offset);
    }

    private static void CheckMark(Arena arena, ArenaSlot slot)
    {
        Assert.Equal(slot.Offset, MemoryMarshal.Read<long>(arena.Slice(slot.Offset, 8).Span));
        Assert.Equal(~slot.Offset, MemoryMarshal.Read<long>(arena.Slice(slot.Offset + slot.Capacity - 8, 8).Span));
    }
}
