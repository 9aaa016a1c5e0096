namespace KvTier.Cli;

/// <summary>Data and baseline of the recall rows, made once a run.</summary>
internal sealed class RecallSetup : IAsyncDisposable
{
    private const int TopKScores = 65_536;
    private readonly PythonPeer? peer;

    private RecallSetup(RecallArrays arrays, int budgetChunks, PythonPeer? peer)
    {
        Arrays = arrays;
        BudgetChunks = budgetChunks;
        this.peer = peer;
    }

    /// <summary>Keys, values, queries and their digests.</summary>
    public RecallArrays Arrays { get; }

    /// <summary>Chunks chosen of each KV head.</summary>
    public int BudgetChunks { get; }

    /// <summary>Makes the data and starts the baseline where there is one.</summary>
    public static async Task<RecallSetup> MakeAsync(BenchContext context)
    {
        RecallArrays arrays = RecallArrays.Make(context.Settings.RecallTokens, TopKScores);
        int budget = Math.Min(context.Settings.RecallBudget, context.Settings.RecallTokens) / RecallArrays.ChunkTokens;
        string folder = context.Folder.File("recall");
        arrays.Write(folder);
        return new RecallSetup(arrays, budget, await TryStartPeerAsync(context, folder, budget));
    }

    /// <summary>A row in us against the baseline, measured in turns.</summary>
    /// <param name="context">The run.</param>
    /// <param name="name">Name of the row.</param>
    /// <param name="ours">Runs for a time; operations a second.</param>
    /// <param name="baselineName">What the baseline does.</param>
    /// <param name="work">The baseline's name for it.</param>
    /// <param name="goal">The ratio that is asked for.</param>
    /// <param name="note">What else is worth knowing.</param>
    public async Task<BenchRow> RowAsync(
        BenchContext context, string name, Func<TimeSpan, Task<double>> ours, string baselineName, string work, double? goal, string note)
    {
        if (peer is null)
        {
            double[] alone = await context.MedianRatesAsync(ours);
            return BenchRow.Cost(name, 1e6 / alone[0], "us", baselineName, null, goal, $"{note}; there is no Python with NumPy");
        }

        Task<double> Theirs(TimeSpan time) => RateAsync(work, time, context.Cancel);
        Task<double> Torch(TimeSpan time) => RateAsync($"torch_{work}", time, context.Cancel);
        bool torch = peer.HasTorch;
        double[] rates = torch ? await context.MedianRatesAsync(ours, Theirs, Torch) : await context.MedianRatesAsync(ours, Theirs);
        string versions = torch ? $"{peer.Versions}: torch takes {1e6 / rates[2]:0} us" : peer.Versions;
        return BenchRow.Cost(name, 1e6 / rates[0], "us", baselineName, 1e6 / rates[1], goal, $"{note}; {versions}");
    }

    /// <summary>Times of the baseline's work; null without one.</summary>
    public async Task<PeerTimes?> TimesAsync(string work, TimeSpan time, CancellationToken cancel) =>
        peer is null ? null : await peer.RunAsync(work, time, cancel);

    /// <summary>The libraries of the baseline, and what PyTorch takes where it is there.</summary>
    public async Task<string> TorchNoteAsync(string work, BenchContext context)
    {
        if (peer is not { HasTorch: true }) return peer?.Versions ?? "";
        PeerTimes times = await peer.RunAsync($"torch_{work}", context.Settings.Slice, context.Cancel);
        return $"{peer.Versions}: torch takes {1e6 * times.P50:0} us";
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (peer is not null) await peer.DisposeAsync();
    }

    private static async Task<PythonPeer?> TryStartPeerAsync(BenchContext context, string folder, int budget)
    {
        if ((context.Settings.Python ?? PythonPeer.Find("numpy")) is not { } python) return null;
        var environment = new Dictionary<string, string> { ["OPENBLAS_NUM_THREADS"] = "2" };
        string[] arguments = [folder, $"{budget}", $"{RecallArrays.ChunkTokens}"];
        return await PythonPeer.StartAsync("numpy_recall.py", python, environment, arguments, context.Cancel);
    }

    private async Task<double> RateAsync(string work, TimeSpan time, CancellationToken cancel) =>
        1 / (await peer!.RunAsync(work, time, cancel)).P50;
}
