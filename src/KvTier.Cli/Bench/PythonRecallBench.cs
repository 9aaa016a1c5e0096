using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Rows of a long sequence, gathered by the Python client as NumPy arrays, against NumPy's own gather and the .NET
/// client.</summary>
internal sealed class PythonRecallBench : IBenchGroup
{
    private const double BudgetShare = 0.04;
    private const int ChunkTokens = 16;
    private const int KvHeads = 8;
    private const int QueryHeads = 32;
    private const int HeadDim = 128;
    private const int Steps = 64;
    private const string Sequence = "python-gather";
    private const string NumPy = "numpy matmul, argpartition, gather from its own arrays";

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["python_gather_4pct", "python_gather_4pct_dotnet", "python_gather_copy_4pct"];

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        PythonSetup.WithPythonAsync(
            context, "numpy, msgpack", Names.Where(names.Contains), interpreter => MeasureAsync(context, interpreter, names));

    private async Task<IReadOnlyList<BenchRow>> MeasureAsync(BenchContext context, string interpreter, IReadOnlySet<string> names)
    {
        int tokens = context.Settings.PythonTokens;
        int budget = (int)(tokens * BudgetShare) / ChunkTokens * ChunkTokens;
        string socket = context.Folder.File("gather");
        long hostMiB = (4L * KvHeads * HeadDim * tokens * 5 / 4 >> 20) + 128;
        string[] serve = ["--port", "0", "--unix-socket", socket, "--http-enabled", "false", "--host-bytes", $"{hostMiB}MiB", "--prefault"];
        await using SiloProcess silo = await SiloProcess.StartAsync(serve, context.Cancel);
        string[] arguments = [$"unix:{socket}", $"{tokens}", $"{budget}"];
        await using PythonPeer python = await PythonPeer.StartAsync(
            "python_gather.py", interpreter, PythonSetup.PackagePath(), arguments, context.Cancel);
        await using KvTierClient client = (await KvTierClient.ConnectAsync(
            new KvTierClientOptions { Endpoint = silo.Endpoints["unix"], Transport = TransportMode.Local, Connections = 1 },
            context.Cancel)).OrFail();
        KvNamespace ns = (await client.OpenNamespaceAsync(new NamespaceDescriptor("bench", Profile()), context.Cancel)).OrFail();

        async Task<double> Python(string work, TimeSpan time) => (await python.RunAsync(work, time, context.Cancel)).Rate;
        double[] rates = await context.MedianRatesAsync(
            time => Python("lease", time), time => DotnetAsync(ns, budget, time), time => Python("numpy", time),
            time => Python("copy", time));
        double megabytes = 4.0 * budget * KvHeads * HeadDim / 1e6;
        string note = $"{budget} of {tokens} tokens of each of {KvHeads} KV heads, {megabytes:0.0} MB; {python.Versions}";
        BenchRow[] rows =
        [
            BenchRow.Cost(Names[0], 1e6 / rates[0], "us", NumPy, 1e6 / rates[2], null, $"as arrays in shared memory; {note}"),
            BenchRow.Cost(Names[1], 1e6 / rates[0], "us", ".NET client", 1e6 / rates[1], PythonBench.DotnetGoal, note),
            BenchRow.Cost(Names[2], 1e6 / rates[3], "us", NumPy, 1e6 / rates[2], null, $"as arrays of the caller's; {note}"),
        ];
        return [.. rows.Where(row => names.Contains(row.Name))];
    }

    private static ModelProfile Profile() => new()
    {
        Name = Sequence,
        Kind = AttentionKind.Gqa,
        Layers = 1,
        KvHeads = KvHeads,
        HeadDim = HeadDim,
        Dtype = Dtype.Float16,
        BlockTokens = 64,
        Rope = new RopeParameters(0),
    };

    private static Task<double> DotnetAsync(KvNamespace ns, int budget, TimeSpan time)
    {
        var selector = new Selector
        {
            Name = "mean",
            Digest = new DigestSpec { Kind = DigestKind.Mean, ChunkTokens = ChunkTokens },
            Softmax = false,
            SinkChunks = 0,
            RecentChunks = 0,
            Budget = RecallBudget.OfTokens(budget),
        };
        float[] queries = Queries();
        return ClosedLoop.RunAsync(1, time, async (_, i) =>
        {
            var item = new RecallQueryItem
            {
                Sequence = Sequence,
                Layer = 0,
                Queries = queries.AsMemory((int)(i % Steps) * QueryHeads * HeadDim, QueryHeads * HeadDim),
            };
            var query = new RecallQuery { Mode = RecallMode.Gather, Selector = selector, QueryHeads = QueryHeads, Items = [item] };
            using RecallLease lease = (await ns.RecallLeaseAsync(query)).OrFail();
            if (lease.Items[0].Missing.Count > 0 || lease.PayloadOf(0).Length != 4 * budget * KvHeads * HeadDim)
                throw new CliException(ExitCodes.Fault, "bench: rows that were stored are missing");
        });
    }

    private static float[] Queries()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, Steps * QueryHeads * HeadDim).Select(
            _ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
    }
}
