namespace KvTier.Cli;

/// <summary>What the measurements of one run share.</summary>
internal sealed class BenchContext(BenchSettings settings, TempFolder folder, CliProgress progress, CancellationToken cancel)
    : IAsyncDisposable
{
    private RedisProcess? redis;
    private bool redisTried;
    private RecallSetup? recall;

    /// <summary>Sizes and times.</summary>
    public BenchSettings Settings => settings;

    /// <summary>Folder of the run.</summary>
    public TempFolder Folder => folder;

    /// <summary>The bar.</summary>
    public CliProgress Progress => progress;

    /// <summary>Ends the run.</summary>
    public CancellationToken Cancel => cancel;

    /// <summary>A redis-server without persistence, started with the first call; null where there is none on the PATH.</summary>
    public async Task<RedisProcess?> RedisAsync()
    {
        if (!redisTried) redis = await RedisProcess.TryStartAsync(folder.Path, cancel);
        redisTried = true;
        return redis;
    }

    /// <summary>Data and baseline of the recall rows, made with the first call.</summary>
    public async Task<RecallSetup> RecallAsync() => recall ??= await RecallSetup.MakeAsync(this);

    /// <summary>Measures several things in rounds, one after the other in each, and takes the median of each.</summary>
    /// <param name="measures">Each runs for about the time given and returns operations a second.</param>
    public async Task<double[]> MedianRatesAsync(params Func<TimeSpan, Task<double>>[] measures)
    {
        var rates = new List<double>[measures.Length];
        for (int i = 0; i < measures.Length; i++)
        {
            rates[i] = [];
            // The first slice warms code, connections and memory, and is not counted.
            await measures[i](settings.Slice);
        }

        for (int round = 0; round < settings.Rounds; round++)
        {
            for (int i = 0; i < measures.Length; i++)
            {
                cancel.ThrowIfCancellationRequested();
                rates[i].Add(await measures[i](settings.Slice));
            }
        }

        return [.. rates.Select(Median.Of)];
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (recall is not null) await recall.DisposeAsync();
        if (redis is not null) await redis.DisposeAsync();
    }
}
