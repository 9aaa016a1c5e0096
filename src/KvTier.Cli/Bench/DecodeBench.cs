using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>What <c>kvtier bench decode</c> found.</summary>
internal sealed record DecodeReport(
    int Tokens, int Layers, int KvHeads, int QueryHeads, int HeadDim, string Dtype, long KvBytes, long DigestBytes, string Selector,
    double BudgetShare, IReadOnlyList<DecodeRow> Rows);

/// <summary>
/// A decode loop over a long sequence most of which is on the SSD: full attention, recall with gather and with attend, with reuse and hot
/// set and without either.
/// </summary>
internal sealed class DecodeBench
{
    private readonly DecodeOptions options;
    private readonly TempFolder folder;
    private readonly CliProgress progress;
    private readonly CancellationToken cancel;
    private readonly List<DecodeRow> rows = [];
    private long digestBytes;

    /// <summary>A bench in a folder.</summary>
    public DecodeBench(DecodeOptions options, TempFolder folder, CliProgress progress, CancellationToken cancel)
    {
        this.options = options;
        this.folder = folder;
        this.progress = progress;
        this.cancel = cancel;
    }

    /// <summary>Steps that a run reports.</summary>
    public static int StepsOf(DecodeOptions options) => options.FullSteps + (4 * options.Steps);

    /// <summary>Host memory that the answers of gathers have room in, however small the sequence.</summary>
    private long SmallestHost => Math.Max(16L << 20, (long)(4 * options.Budget * options.KvBytes / options.Layers));

    /// <summary>Runs every row.</summary>
    public async Task<DecodeReport> RunAsync()
    {
        progress.Say("make keys and values");
        var made = new SyntheticOptions
        {
            Tokens = options.Tokens,
            Steps = options.Steps,
            KvHeads = options.KvHeads,
            QueryHeads = options.QueryHeads,
            HeadDim = options.HeadDim,
            NeedleDepths = [],
        };
        RecallTensors tensors = RecallTensors.Of(SyntheticKv.Generate(made)) with { Dtype = options.Dtype };
        var blocks = new TensorBlocks("decode", tensors, options.Layers);
        Selector plain = Selectors.Find(options.Selector)! with
        {
            Budget = new RecallBudget(BudgetKind.Share, options.Budget),
            Reuse = default,
        };
        await RunWithoutAsync(blocks, plain);
        await RunWithAsync(blocks, plain);
        return new DecodeReport(
            options.Tokens, options.Layers, options.KvHeads, options.QueryHeads, options.HeadDim, options.Dtype.Name(), options.KvBytes,
            digestBytes, options.Selector, options.Budget, rows);
    }

    /// <summary>No hot set, and nothing is used again.</summary>
    private async Task RunWithoutAsync(TensorBlocks blocks, Selector plain)
    {
        long host = Math.Max(SmallestHost, (long)(options.KvBytes * options.HostShare));
        await using RecallSilo silo = await StartAsync(blocks, host, hotSet: 0, "without");
        Selector all = plain with { Budget = new RecallBudget(BudgetKind.Share, 1), Estimate = false };
        await MeasureAsync(silo, blocks, "full attention", "none", RecallMode.Attend, all, options.FullSteps, holds: false, 0, host);
        await MeasureAsync(silo, blocks, "recall + gather", "none", RecallMode.Gather, plain, options.Steps, holds: false, 0, host);
        await MeasureAsync(silo, blocks, "recall + attend", "none", RecallMode.Attend, plain, options.Steps, holds: false, 0, host);
    }

    /// <summary>A hot set; the gather sends only what the caller does not hold, the attend uses choices again.</summary>
    private async Task RunWithAsync(TensorBlocks blocks, Selector plain)
    {
        long memory = (long)(options.KvBytes * options.HostShare);
        long hot = (long)(memory * options.HotPart);
        long host = Math.Max(SmallestHost, memory - hot);
        await using RecallSilo silo = await StartAsync(blocks, host, hot, "with");
        Selector again = plain with { Reuse = new ReuseRule(ReuseKind.QueryCosine, options.ReuseCosine) };
        string rule = FormattableString.Invariant($"choice while queries have cosine {options.ReuseCosine}");
        await MeasureAsync(
            silo, blocks, "recall + gather", "slots held by the caller", RecallMode.Gather, plain, options.Steps, holds: true, hot, host);
        await MeasureAsync(silo, blocks, "recall + attend", rule, RecallMode.Attend, again, options.Steps, holds: false, hot, host);
    }

    private async Task<RecallSilo> StartAsync(TensorBlocks blocks, long host, long hotSet, string name)
    {
        progress.Say($"store {Units.Bytes(blocks.Bytes)}");
        SiloOptions silo = SiloOptions.Default with
        {
            HostBytes = host,
            DataDirectory = folder.File(name),
            SsdBytes = Math.Max(1L << 30, (blocks.Bytes * 5 / 4) + (512L << 20)),
            Recall = new RecallSettings { HotSetBytes = hotSet },
        };
        return await RecallSilo.StartAsync(blocks, silo, demotes: true, folder, cancel);
    }

    private async Task MeasureAsync(
        RecallSilo silo, TensorBlocks blocks, string name, string reuse, RecallMode mode, Selector selector, int steps, bool holds,
        long hotSet, long host)
    {
        progress.Say($"{name}, reuse: {reuse}");
        Client.KvSequence sequence = await silo.OpenAsync(selector, cancel);
        digestBytes = sequence.Latest.DigestBytes;
        var loop = new DecodeLoop(blocks, sequence, mode, selector, options.QueryHeads, holds);
        await loop.RunAsync(steps, progress, cancel);
        rows.Add(loop.Row(name, reuse, hotSet, host));
    }
}
