namespace KvTier.Cli;

internal sealed class PythonRecallBench : IBenchGroup
{
    public IReadOnlyList<string> Names { get; } = [];

    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        Task.FromResult<IReadOnlyList<BenchRow>>([]);
}
