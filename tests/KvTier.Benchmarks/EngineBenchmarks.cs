using BenchmarkDotNet.Attributes;
using KvTier.Engine;
using KvTier.Memory;

namespace KvTier.Benchmarks;

/// <summary>Look-up of one block and of 1,000 ordered ones in the index alone.</summary>
[MemoryDiagnoser]
public class IndexBenchmarks
{
    private const int Asked = 1000;

    private readonly BlockId[] ids = new BlockId[Asked];
    private IndexProbe? probe;
    private int next;

    [Params(100_000, 10_000_000)]
    public int Blocks { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        probe = new IndexProbe(Blocks);
        var random = new Random(1);
        for (int i = 0; i < Asked; i++) ids[i] = IndexProbe.IdOf(random.Next(Blocks));
    }

    [GlobalCleanup]
    public void Cleanup() => probe!.Dispose();

    [Benchmark]
    public bool Lookup()
    {
        // Another block each time, so that the caches do not hold it.
        next = (int)((next + 7_368_787L) % Blocks);
        return probe!.Contains(IndexProbe.IdOf(next));
    }

    [Benchmark]
    public int Prefix1000() => probe!.Prefix(ids);
}

/// <summary>Host-hit get and put of small blocks through the engine: what the engine itself costs beside the bytes.</summary>
[MemoryDiagnoser]
public class EngineBenchmarks
{
    private const int Blocks = 100_000;
    private const int Length = 512;

    private readonly byte[] key = new byte[BlockId.SizeBytes];
    private Arena? arena;
    private BlockEngine? engine;
    private ushort ns;
    private long next;

    [Params("lru", "s3fifo")]
    public string Policy { get; set; } = "lru";

    [GlobalSetup]
    public void Setup()
    {
        arena = Arena.Create(new ArenaOptions { CapacityBytes = 64 << 20, Shared = false }).Value;
        engine = new BlockEngine(new EngineOptions { HostBlocksMax = Blocks, Policy = Policy }, arena, null, TimeProvider.System);
        ns = engine.OpenNamespace(new NamespaceDescriptor("bench", Profiles.Opaque)).Value;
        for (int i = 0; i < Blocks; i++) PutNew();
    }

    [GlobalCleanup]
    public async Task Cleanup()
    {
        await engine!.DisposeAsync();
        arena!.Dispose();
    }

    [Benchmark]
    public int GetHostHit()
    {
        _ = engine!.TryLease(ns, IndexProbe.IdOf(next - 1 - (next % 1000)), out BlockLease lease);
        engine.Release(lease);
        return lease.Length;
    }

    [Benchmark]
    public bool PutNew()
    {
        BlockId id = IndexProbe.IdOf(next++);
        id.WriteTo(key);
        bool reserved = engine!.TryBeginPut(
            new PutRequest { Namespace = ns, Id = id, Key = key, Length = Length }, out _, out Reservation reservation);
        return reserved && engine.Seal(reservation, 0, out _) == SealStatus.Stored;
    }
}
