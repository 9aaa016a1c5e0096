using KvTier.Testing;

namespace KvTier.Cluster.Tests.Node;

/// <summary>
/// Runs asynchronous code in the test's own thread, one continuation after the other; when nothing is left to run, time goes on. Code that
/// runs on another thread would race with the clock, so a run in which anything comes from there fails.
/// </summary>
internal sealed class TestLoop : SynchronizationContext
{
    private static readonly TimeSpan step = TimeSpan.FromMilliseconds(1);

    private readonly Queue<(SendOrPostCallback Callback, object? State)> work = new();
    private volatile string? stray;
    private int thread;

    public ManualTimeProvider Time { get; } = new();

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (Environment.CurrentManagedThreadId != thread) stray ??= Environment.StackTrace;
        lock (work) work.Enqueue((d, state));
    }

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs a test; fails when it takes longer than it may, by the loop's clock.</summary>
    public void Run(Func<Task> test, TimeSpan? longest = null)
    {
        SynchronizationContext? before = Current;
        SetSynchronizationContext(this);
        thread = Environment.CurrentManagedThreadId;
        try
        {
            Task task = test();
            DateTimeOffset end = Time.GetUtcNow() + (longest ?? TimeSpan.FromHours(1));
            while (!task.IsCompleted)
            {
                Assert.True(stray is null, $"a continuation came from another thread: {stray}");
                if (RunOne()) continue;
                if (Time.GetUtcNow() > end) throw new TimeoutException("the test takes longer than it may");
                Time.Advance(step);
            }

            task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    /// <summary>Lets time pass.</summary>
    public Task PauseAsync(TimeSpan span) => Task.Delay(span, Time);

    /// <summary>Waits for a condition.</summary>
    public async Task UntilAsync(Func<bool> condition, TimeSpan? longest = null, Func<string>? what = null)
    {
        DateTimeOffset end = Time.GetUtcNow() + (longest ?? TimeSpan.FromSeconds(60));
        while (!condition())
        {
            Assert.True(Time.GetUtcNow() < end, what?.Invoke() ?? "it did not come true in time");
            await PauseAsync(TimeSpan.FromMilliseconds(5));
        }
    }

    private bool RunOne()
    {
        (SendOrPostCallback Callback, object? State) next;
        lock (work)
        {
            if (!work.TryDequeue(out next)) return false;
        }

        next.Callback(next.State);
        return true;
    }
}
