using KvTier.Client;

namespace KvTier.Cli;

/// <summary>What the Python client does, done with the .NET client: one caller, one request at a time, over the local path, and the ids
/// computed of the keys for each request.</summary>
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
        ReadOnlyMemory<byte>[] keys = Keys(set, count);
        return operation switch
        {
            "get" => Get(blocks.Namespace, keys, batch),
            "copy" => Copy(blocks.Namespace, keys, bytes, batch),
            _ => Put(blocks.Namespace, [.. Enumerable.Range(0, count).Select(i => new PutBlock(BenchBlocks.Key(set, i), payload))], batch),
        };
    }

    /// <summary>Asks how many of the keys that Python has put are there.</summary>
    public static Func<TimeSpan, Task<double>> Prefix(BenchBlocks blocks, int count)
    {
        ReadOnlyMemory<byte>[] keys = Keys("prefix", count);
        var ids = new BlockId[count];
        return Loop(async _ =>
        {
            blocks.Namespace.IdsOf(keys, ids);
            Check((await blocks.Namespace.PrefixAsync(ids)).OrFail() == count);
        });
    }

    private static Func<TimeSpan, Task<double>> Get(KvNamespace ns, ReadOnlyMemory<byte>[] keys, int batch)
    {
        var leases = new BlockLease[batch];
        var ids = new BlockId[batch];
        return Loop(async i =>
        {
            ns.IdsOf(Some<ReadOnlyMemory<byte>>(keys, i, batch).Span, ids);
            Check((await ns.LeaseAsync(ids, leases)).OrFail() == batch);
            foreach (BlockLease lease in leases) lease.Dispose();
        });
    }

    private static Func<TimeSpan, Task<double>> Copy(KvNamespace ns, ReadOnlyMemory<byte>[] keys, int bytes, int batch)
    {
        byte[][] into = [.. Enumerable.Range(0, batch).Select(_ => new byte[bytes])];
        var blocks = new GetBlock[batch];
        return Loop(async i =>
        {
            ReadOnlyMemory<ReadOnlyMemory<byte>> some = Some<ReadOnlyMemory<byte>>(keys, i, batch);
            for (int k = 0; k < batch; k++) blocks[k] = new GetBlock(ns.IdOf(some.Span[k].Span), into[k]);
            Check((await ns.GetAsync(blocks, new BlockResult[batch])).OrFail().Hits == batch);
        });
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

    private static ReadOnlyMemory<byte>[] Keys(string set, int count) =>
        [.. Enumerable.Range(0, count).Select(i => (ReadOnlyMemory<byte>)BenchBlocks.Key(set, i))];

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
