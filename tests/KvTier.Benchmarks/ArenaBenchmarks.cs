using BenchmarkDotNet.Attributes;
using KvTier.Memory;

namespace KvTier.Benchmarks;

/// <summary>One slot taken and given back, in an arena that is half full of slots of its size.</summary>
[MemoryDiagnoser]
public class ArenaBenchmarks
{
    private Arena? arena;

    [Params(4 << 10, 100 << 10, 2 << 20)]
    public int Bytes { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        arena = Arena.Create(new ArenaOptions { CapacityBytes = 64 << 20, Shared = false }).Value;
        while (arena.UsedBytes < arena.CapacityBytes / 2 && arena.TryAllocate(Bytes, out _))
        {
            // Fill.
        }
    }

    [GlobalCleanup]
    public void Cleanup() => arena!.Dispose();

    [Benchmark]
    public long AllocateAndFree()
    {
        if (!arena!.TryAllocate(Bytes, out ArenaSlot slot)) throw new InvalidOperationException("arena full");
        arena.Free(slot);
        return slot.Offset;
    }

    [Benchmark]
    public int Slice() => arena!.Slice(Arena.ExtentBytes, Bytes).Span.Length;
}
