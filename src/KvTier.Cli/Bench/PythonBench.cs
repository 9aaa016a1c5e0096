using KvTier.Client;

namespace KvTier.Cli;

/// <summary>The Python client over the local path, against redis-py over a Unix socket and against the .NET client, in turns.</summary>
internal sealed class PythonBench : IBenchGroup
{
    /// <summary>How many times faster than redis-py it is to be.</summary>
    private const double RedisGoal = 10;

    /// <summary>Within 1.5 times of the .NET client.</summary>
    public const double DotnetGoal = 1 / 1.5;

    private const int Batch = 32;
    private const int PrefixKeys = 1000;
    private static readonly int[] sizes = [1, 2, 5];
    private static readonly TouchNote[] notes =
    [
        new("get", "leased and given back: nothing is copied"), new("copy", "into the caller's buffer"),
        new("put", "from the caller's buffer"),
    ];

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } =
    [
        .. from size in sizes from batch in (int[])[1, Batch] from operation in (string[])["get", "copy", "put"]
           from against in (string[])["", "_dotnet"]
           select $"{Name(operation, size, batch)}{against}",
        "python_prefix_1000", "python_prefix_1000_dotnet",
    ];

    private sealed record TouchNote(string Operation, string Text);

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        PythonSetup.WithPythonAsync(
            context, PythonSetup.Modules, Names.Where(names.Contains), interpreter => MeasureAsync(context, interpreter, names));

    private static async Task<IReadOnlyList<BenchRow>> MeasureAsync(BenchContext context, string interpreter, IReadOnlySet<string> names)
    {
        await using PythonSetup setup = await PythonSetup.StartAsync(context, interpreter);
        var rows = new List<BenchRow>();
        foreach (int size in sizes)
        {
            int bytes = size << 20;
            foreach (int batch in (int[])[1, Batch])
            {
                foreach (TouchNote note in notes)
                {
                    string name = Name(note.Operation, size, batch);
                    if (!names.Contains(name) && !names.Contains(name + "_dotnet")) continue;
                    context.Progress.Say(name);
                    Func<TimeSpan, Task<double>> dotnet = await DotnetWork.OfAsync(setup.Blocks, note.Operation, bytes, batch);
                    rows.AddRange(await RowsAsync(context, setup, name, note.Operation, bytes, batch, dotnet, note.Text));
                }
            }

            await setup.EndAsync(bytes, context.Cancel);
        }

        if (names.Contains("python_prefix_1000") || names.Contains("python_prefix_1000_dotnet"))
        {
            Func<TimeSpan, Task<double>> dotnet = DotnetWork.Prefix(setup.Blocks, PrefixKeys);
            rows.AddRange(await RowsAsync(
                context, setup, "python_prefix_1000", "prefix", 1, PrefixKeys, dotnet, "redis-py asks EXISTS for each in a pipeline"));
        }

        return [.. rows.Where(row => names.Contains(row.Name))];
    }

    private static string Name(string operation, int size, int batch) =>
        batch == 1 ? $"python_{operation}_{size}MiB" : $"python_{operation}_{batch}x{size}MiB";

    private static async Task<IEnumerable<BenchRow>> RowsAsync(
        BenchContext context, PythonSetup setup, string name, string operation, int bytes, int batch, Func<TimeSpan, Task<double>> dotnet,
        string note)
    {
        Task<double> Ours(TimeSpan time) => setup.RateAsync("kvtier", operation, bytes, batch, time, context.Cancel);
        Task<double> Redis(TimeSpan time) => setup.RateAsync("redis", operation, bytes, batch, time, context.Cancel);
        double[] rates = setup.HasRedis
            ? await context.MedianRatesAsync(Ours, dotnet, Redis) : await context.MedianRatesAsync(Ours, dotnet);
        double? redis = setup.HasRedis ? rates[2] : null;
        string what = setup.HasRedis ? $"{note}; {setup.Versions}" : $"{note}; {setup.Versions}; redis-server is not on the PATH";
        return
        [
            BenchRow.Rate(name, rates[0], "requests/s", "redis-py, unix socket", redis, RedisGoal, what),
            BenchRow.Rate(name + "_dotnet", rates[0], "requests/s", ".NET client", rates[1], DotnetGoal, note),
        ];
    }
}
