using System.Diagnostics;
using System.Runtime.InteropServices;
using KvTier.Engine;
using KvTier.Memory;

namespace KvTier.Cli;

/// <summary>The engine's index at 10 million blocks against its budgets: bytes a block, one look-up, a prefix of 1,000 keys.</summary>
internal sealed class IndexBench : IBenchGroup
{
    private const int PrefixKeys = 1000;
    private const int Lookups = 1 << 16;
    private const int AccessBytesPerBlock = 56;
    private const int AdviseHugePage = 14;
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(500);

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["index_lookup", "prefix_1000_keys", "index_bytes_per_block"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        int blocks = context.Settings.IndexBlocks;
        var descriptor = new NamespaceDescriptor("bench", Profiles.Opaque);
        var log = new SyntheticLog(descriptor.Id, blocks);
        long before = ResidentBytes();
        using Arena arena = Arena.Create(new ArenaOptions { CapacityBytes = 16 << 20, Shared = false }).OrFail();
        await using var engine = new BlockEngine(new EngineOptions(), arena, log, TimeProvider.System);
        engine.Recover([descriptor]);
        double bytes = ((double)(ResidentBytes() - before) / blocks) - SyntheticLog.KeyBytes;
        ushort ns = engine.OpenNamespace(descriptor).OrFail();
        if (engine.Count(ns) != blocks)
            throw new CliException(ExitCodes.Fault, $"bench: the index holds {engine.Count(ns)} of {blocks} blocks");
        double lookup = await BestOfRoundsAsync(context, () => Lookup(engine, ns, blocks));
        double prefix = await BestOfRoundsAsync(context, () => Prefix(engine, ns, blocks));
        double access = RandomAccess((long)blocks * AccessBytesPerBlock);
        string at = $"{blocks / 1e6:0.#} million blocks";
        string floor = $"{at}; two cache misses in a row, and one access at random to as much memory takes {access:0} ns here now";
        BenchRow[] rows =
        [
            BenchRow.Cost(Names[0], lookup, "ns", "budget", 200, 1, floor),
            BenchRow.Cost(Names[1], prefix, "us", "budget", 100, 1, at),
            BenchRow.Cost(Names[2], bytes, "B", "budget", 64, 1, $"{at}; resident memory, keys of {SyntheticLog.KeyBytes} B left out"),
        ];
        return [.. rows.Where(row => names.Contains(row.Name))];
    }

    private static async Task<double> BestOfRoundsAsync(BenchContext context, Func<double> measure)
    {
        var values = new List<double>();
        // Long enough that the code has its final form, also on a busy machine.
        long start = Stopwatch.GetTimestamp();
        do measure();
        while (Stopwatch.GetElapsedTime(start) < WarmUp);
        for (int round = 0; round < context.Settings.Rounds; round++)
        {
            context.Cancel.ThrowIfCancellationRequested();
            values.Add(measure());
            await Task.Yield();
        }

        return Median.Of(values);
    }

    /// <summary>Time of one look-up of a block picked at random, in ns; what picks it is measured and taken off.</summary>
    private static double Lookup(BlockEngine engine, ushort ns, int blocks)
    {
        var random = new Random(1);
        BlockId[] ids = [.. Enumerable.Range(0, Lookups).Select(_ => SyntheticLog.IdOf(random.Next(blocks)))];
        long found = 0;
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < ids.Length; i++) found += engine.Prefix(ns, ids.AsSpan(i, 1), [], touch: false);
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        return found == ids.Length ? took.TotalNanoseconds / Lookups : throw new CliException(ExitCodes.Fault, "bench: a look-up missed");
    }

    /// <summary>Time of a prefix of 1,000 keys from anywhere in the index, in us.</summary>
    private static double Prefix(BlockEngine engine, ushort ns, int blocks)
    {
        const int Calls = 64;
        var random = new Random(2);
        BlockId[] ids = [.. Enumerable.Range(0, Calls * PrefixKeys).Select(_ => SyntheticLog.IdOf(random.Next(blocks)))];
        var tiers = new TierSet[PrefixKeys];
        long found = 0;
        long start = Stopwatch.GetTimestamp();
        for (int call = 0; call < Calls; call++) found += engine.Prefix(ns, ids.AsSpan(call * PrefixKeys, PrefixKeys), tiers, touch: false);
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        return found == ids.Length ? took.TotalMicroseconds / Calls : throw new CliException(ExitCodes.Fault, "bench: a prefix missed");
    }

    /// <summary>Time of one read whose place depends on the read before, in ns: what memory takes here for a cache miss.</summary>
    private static unsafe double RandomAccess(long bytes)
    {
        const int HugePageBytes = 2 << 20;
        var length = (nuint)bytes;
        byte* memory = (byte*)NativeMemory.AlignedAlloc(length, HugePageBytes);
        try
        {
            _ = Advise((nint)memory, length, AdviseHugePage);
            NativeMemory.Fill(memory, length, 2);
            ulong state = 1;
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < Lookups; i++)
            {
                state = (state * 6364136223846793005) + 1442695040888963407;
                state += memory[Math.BigMul(state, (ulong)bytes, out _)];
            }

            TimeSpan took = Stopwatch.GetElapsedTime(start);
            return state != 0 ? took.TotalNanoseconds / Lookups : 0;
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Advise(nint address, nuint length, int advice);

    private static long ResidentBytes()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return Environment.WorkingSet;
    }
}
