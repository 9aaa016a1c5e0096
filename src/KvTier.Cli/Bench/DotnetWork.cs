using KvTier.Client;

namespace KvTier.Cli;

/// <summary>What the Python client does, done with the .NET client: one caller, one request at a time, over the local path.</summary>
internal static class DotnetWork
{
    private const int CopiedBytes = 128 << 20;
    private const int LeastBlocks = 32;

    /// <summary>Stores the blocks that it gets, and gives back the work.</summary>
    /// <param name="blocks">The client.</param>
    /// <param name="operation"><c>get</c> (a lease), <c>copy</c> or <c>put</c>.</param>
    /// <param name="bytes">Bytes of a block.</param>
    /// <param name="batch">Blocks of a request.</param>
    /// <returns>Runs for a time; requests a second.</returns>
    public static async Task<Func<TimeSpan, Task<double>>> OfAsync(BenchBlocks blocks, string operation, int bytes, int batch)
    {
        int count = Math.Max(LeastBlocks, CopiedBytes / bytes);
        var payload = new byte[bytes];
        BlockContent.Fill(payload, 1);
        // The same keys as Python's: the silo holds them once.
        string set = operation == "put" ? $"python-put:{bytes}" : $"python:{bytes}";
        await blocks.FillAsync(set, count, payload);
        BlockId[] ids = blocks.Ids(set, count);
        return operation switch
        {
            "get" => Get(blocks.Namespace, ids, batch),
            "copy" => Copy(blocks.Namespace, ids, bytes, batch),
            _ => Put(blocks.Namespace, [.. Enumerable.Range(0, count).Select(i => new PutBlock(BenchBlocks.Key(set, i), payload))], batch),
        };
    }

    /// <summary>Asks how many of the keys that Python has put are there.</summary>
    public static Func<TimeSpan, Task<double>> Prefix(BenchBlocks blocks, int count)
    {
        BlockId[] ids = blocks.Ids("prefix", count);
        return Loop(async _ => Check((await blocks.Namespace.PrefixAsync(ids)).OrFail() == count));
    }

    private static Func<TimeSpan, Task<double>> Get(KvNamespace ns, BlockId[] ids, int batch)
    {
        var leases = new BlockLease[batch];
        return Loop(async i =>
        {
            Check((await ns.LeaseAsync(Some<BlockId>(ids, i, batch), leases)).OrFail() == batch);
            foreach (BlockLease lease in leases) lease.Dispose();
        });
    }

    private static Func<TimeSpan, Task<double>> Copy(KvNamespace ns, BlockId[] ids, int bytes, int batch)
    {
        byte[][] into = [.. Enumerable.Range(0, batch).Select(_ => new byte[bytes])];
        GetBlock[] blocks = [.. ids.Select((id, i) => new GetBlock(id, into[i % batch]))];
        return Loop(async i => Check((await ns.GetAsync(Some<GetBlock>(blocks, i, batch), new BlockResult[batch])).OrFail().Hits == batch));
    }

    private static Func<TimeSpan, Task<double>> Put(KvNamespace ns, PutBlock[] blocks, int batch)
    {
        var overwrite = new PutOptions { Overwrite = true };
        return Loop(async i =>
        {
            PutSummary summary = (await ns.PutAsync(Some<PutBlock>(blocks, i, batch), default, overwrite)).OrFail();
            Check(summary.Error is null && summary.Stored == batch);
        });
    }

    private static ReadOnlyMemory<T> Some<T>(T[] all, long i, int batch)
    {
        int whole = all.Length / batch * batch;
        return all.AsMemory((int)(i * batch % whole), batch);
    }

    private static Func<TimeSpan, Task<double>> Loop(Func<long, ValueTask> work) => time => ClosedLoop.RunAsync(1, time, (_, i) => work(i));

    private static void Check(bool good)
    {
        if (!good) throw new CliException(ExitCodes.Fault, "bench: a block was not stored, or one that was put is not there");
    }
}
