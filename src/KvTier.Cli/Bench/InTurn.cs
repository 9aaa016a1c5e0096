using System.Diagnostics;

namespace KvTier.Cli;

/// <summary>
/// Several operations, one of each in turn, and the median time of each. Rates of processes that share the processors with whatever else
/// runs say little: what takes the processor away falls on one slice and not on the next. In turn it falls on all alike, and the median
/// leaves it out.
/// </summary>
internal static class InTurn
{
    /// <summary>
    /// Operations of each kind before those that count, and as many that do at least: requests go to three silos by chance, and each
    /// compiles its way the first time, which takes a hundred times what an operation does.
    /// </summary>
    public const int Least = 64;

    /// <summary>Measures.</summary>
    /// <param name="context">The run: as long as slices of each kind in every round would take together.</param>
    /// <param name="operations">Each is given the number of its call, from 0 on.</param>
    /// <returns>The median time of each, in seconds.</returns>
    public static async Task<double[]> MediansAsync(BenchContext context, params Func<long, ValueTask>[] operations)
    {
        LatencyHistogram[] times = [.. operations.Select(_ => new LatencyHistogram())];
        TimeSpan span = context.Settings.Slice * context.Settings.Rounds * operations.Length;
        long start = Stopwatch.GetTimestamp();
        for (long i = 0; i < 2 * Least || Stopwatch.GetElapsedTime(start) < span; i++)
        {
            context.Cancel.ThrowIfCancellationRequested();
            for (int kind = 0; kind < operations.Length; kind++)
            {
                long begin = Stopwatch.GetTimestamp();
                await operations[kind](i);
                if (i >= Least) times[kind].Record((long)Stopwatch.GetElapsedTime(begin).TotalNanoseconds);
            }
        }

        return [.. times.Select(each => each.Percentile(0.5) / 1e9)];
    }
}
