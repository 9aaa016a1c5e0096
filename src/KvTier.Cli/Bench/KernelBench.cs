using KvTier.Kernels;

namespace KvTier.Cli;

/// <summary>The arithmetic of recall on the host: scoring against the read bandwidth of this machine, top-K and attention against
/// NumPy.</summary>
internal sealed class KernelBench : IBenchGroup
{
    private const double BandwidthGoal = 0.85;
    private const int AttendTokens = 4096;
    private static readonly int workers = Environment.ProcessorCount;
    private long sink;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["score_mean_fp16", "score_minmax_fp16", "topk_65536", "attend_4096_tokens"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        RecallSetup setup = await context.RecallAsync();
        var rows = new List<BenchRow>();
        if (names.Contains(Names[0]) || names.Contains(Names[1])) rows.AddRange(await ScoreAsync(context, names));
        if (names.Contains(Names[2])) rows.Add(await TopKAsync(context, setup));
        if (names.Contains(Names[3])) rows.Add(await AttendAsync(context, setup));
        return rows;
    }

    /// <summary>Digests that do not fit into the caches, scored by all processors, next to reading the same bytes.</summary>
    private async Task<IEnumerable<BenchRow>> ScoreAsync(BenchContext context, IReadOnlySet<string> names)
    {
        byte[] digests = GC.AllocateUninitializedArray<byte>(context.Settings.ScoreBytes);
        Parallel.For(0, workers, worker =>
        {
            Span<byte> part = digests.AsSpan(worker * (digests.Length / workers), digests.Length / workers);
            var random = new Random(worker);
            for (int i = 0; i < part.Length; i += sizeof(ushort))
                BitConverter.TryWriteBytes(part[i..], (Half)((random.NextSingle() * 2) - 1));
        });
        double[] rates = await context.MedianRatesAsync(
            time => ScanAsync(time, digests.Length, RecallArrays.HeadDim, digests),
            time => ScanAsync(time, digests.Length, 2 * RecallArrays.HeadDim, digests),
            time => ReadAsync(time, digests));
        string note = $"{Units.Bytes(digests.Length)} of digests, {RecallArrays.QueryHeads / RecallArrays.KvHeads} query heads each, "
            + $"{workers} threads";
        BenchRow[] rows =
        [
            BenchRow.Rate(Names[0], rates[0] / 1e9, "GB/s", "reading the same bytes", rates[2] / 1e9, BandwidthGoal, note),
            BenchRow.Rate(Names[1], rates[1] / 1e9, "GB/s", "reading the same bytes", rates[2] / 1e9, BandwidthGoal, note),
        ];
        return rows.Where(row => names.Contains(row.Name));
    }

    /// <summary>Scores all rows again and again.</summary>
    /// <returns>Bytes a second.</returns>
    internal static async Task<double> ScanAsync(TimeSpan time, int bytes, int rowLength, byte[] digests)
    {
        const int Group = RecallArrays.QueryHeads / RecallArrays.KvHeads;
        const int PieceRows = 512;
        int pieceBytes = PieceRows * rowLength * sizeof(ushort);
        int pieces = bytes / pieceBytes / workers;
        float[] queries = new float[Group * rowLength];
        for (int i = 0; i < queries.Length; i++) queries[i] = (i % 7) - 3;
        float[][] scores = [.. Enumerable.Range(0, workers).Select(_ => new float[Group * PieceRows])];
        double rate = await ClosedLoop.RunOnThreadsAsync(workers, time, (worker, i) =>
        {
            int piece = (worker * pieces) + (int)(i % pieces);
            ReadOnlySpan<byte> rows = digests.AsSpan(piece * pieceBytes, pieceBytes);
            RowDot.Dot(Dtype.Float16, rows, PieceRows, rowLength, queries, Group, [], scores[worker], PieceRows, finite: true);
        });
        return rate * pieceBytes;
    }

    private async Task<double> ReadAsync(TimeSpan time, byte[] digests)
    {
        const int PieceBytes = 1 << 17;
        int pieces = digests.Length / PieceBytes / workers;
        long[] sums = new long[workers];
        double rate = await ClosedLoop.RunOnThreadsAsync(workers, time, (worker, i) =>
        {
            int piece = (worker * pieces) + (int)(i % pieces);
            sums[worker] += BenchBlocks.Touch(digests.AsSpan(piece * PieceBytes, PieceBytes));
        });
        foreach (long sum in sums) sink ^= sum;
        return rate * PieceBytes;
    }

    private static async Task<BenchRow> TopKAsync(BenchContext context, RecallSetup setup)
    {
        int[] indexes = new int[setup.BudgetChunks];
        float[] scores = setup.Arrays.Scores;
        Task<double> Ours(TimeSpan time) => ClosedLoop.RunOnThreadsAsync(1, time, (_, _) => TopK.Select(scores, indexes.Length, indexes));
        string note = $"{indexes.Length} of {scores.Length}, one thread";
        return await setup.RowAsync(context, "topk_65536", Ours, "numpy argpartition", "topk", null, note);
    }

    private static async Task<BenchRow> AttendAsync(BenchContext context, RecallSetup setup)
    {
        const int Dim = RecallArrays.HeadDim;
        const int Group = RecallArrays.QueryHeads / RecallArrays.KvHeads;
        RecallTensors tensors = setup.Arrays.Tensors;
        int tokens = Math.Min(AttendTokens, tensors.Tokens);
        byte[] keys = RecallArrays.Halves(tensors.Keys);
        byte[] values = RecallArrays.Halves(tensors.Values);
        AttentionPart[] parts = [.. Enumerable.Range(0, RecallArrays.KvHeads).Select(_ => new AttentionPart(Group, Dim))];
        float[] output = new float[RecallArrays.QueryHeads * Dim];
        float[] lse = new float[RecallArrays.QueryHeads];
        float scale = 1 / MathF.Sqrt(Dim);
        int rowBytes = Dim * sizeof(ushort);
        long step = 0;
        Task<double> Ours(TimeSpan time) => ClosedLoop.RunOnThreadsAsync(1, time, (_, i) =>
        {
            step = i;
            Parallel.For(0, parts.Length, head =>
            {
                int first = (head * tensors.Tokens) + (int)(step * tokens % (tensors.Tokens - tokens + 1));
                ReadOnlySpan<float> queries = tensors.QueriesOf((int)(step % tensors.Steps)).Span.Slice(head * Group * Dim, Group * Dim);
                parts[head].Clear();
                parts[head].Add(
                    Dtype.Float16, keys.AsSpan(first * rowBytes, tokens * rowBytes), values.AsSpan(first * rowBytes, tokens * rowBytes),
                    tokens, queries, scale);
                parts[head].Finish(output.AsSpan(head * Group * Dim, Group * Dim), lse.AsSpan(head * Group, Group));
            });
        });
        string note = $"{tokens} tokens of {RecallArrays.KvHeads} KV heads, fp16, {RecallArrays.QueryHeads} query heads, {workers} threads";
        return await setup.RowAsync(context, "attend_4096_tokens", Ours, "numpy matmul, fp32", "attend", null, note);
    }
}
