using System.Diagnostics;

namespace KvTier.Cli;

/// <summary>Workers that each do one operation after the other for a time, and one at least.</summary>
internal static class ClosedLoop
{
    /// <summary>Runs asynchronous workers.</summary>
    /// <param name="workers">How many.</param>
    /// <param name="time">How long.</param>
    /// <param name="operation">The operation of a worker; its second argument counts the operations of that worker.</param>
    /// <returns>Operations a second.</returns>
    public static async Task<double> RunAsync(int workers, TimeSpan time, Func<int, long, ValueTask> operation)
    {
        long start = Stopwatch.GetTimestamp();
        long[] counts = await Task.WhenAll(Enumerable.Range(0, workers).Select(worker => Task.Run(async () =>
        {
            long count = 0;
            for (; count == 0 || Stopwatch.GetElapsedTime(start) < time; count++) await operation(worker, count);
            return count;
        })));
        return counts.Sum() / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Runs blocking workers, each on a thread of its own.</summary>
    public static Task<double> RunOnThreadsAsync(int workers, TimeSpan time, Action<int, long> operation)
    {
        long start = Stopwatch.GetTimestamp();
        return Task.WhenAll(Enumerable.Range(0, workers).Select(worker => Task.Factory.StartNew(
            () =>
            {
                long count = 0;
                for (; count == 0 || Stopwatch.GetElapsedTime(start) < time; count++) operation(worker, count);
                return count;
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default))).ContinueWith(
                all => all.Result.Sum() / Stopwatch.GetElapsedTime(start).TotalSeconds, TaskScheduler.Default);
    }
}
