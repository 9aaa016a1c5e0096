namespace KvTier.Cli;

/// <summary>Rows that are measured together.</summary>
internal interface IBenchGroup
{
    /// <summary>Names of the rows, in their order.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>Measures the rows asked for.</summary>
    Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names);
}
