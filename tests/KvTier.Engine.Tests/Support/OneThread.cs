namespace KvTier.Engine.Tests;

/// <summary>Runs a method and all that it awaits on one thread, as a simulation does; fails when anything would run on another.</summary>
internal sealed class OneThread : SynchronizationContext
{
    private readonly Queue<(SendOrPostCallback Callback, object? State)> posted = [];
    private readonly Thread thread = Thread.CurrentThread;
    private int strayPosts;

    /// <summary>Runs the method. When nothing is left to run and it has not ended, <paramref name="onIdle"/> has to move it on.</summary>
    internal static void Run(Func<Task> method, Action onIdle)
    {
        SynchronizationContext? before = Current;
        var context = new OneThread();
        SetSynchronizationContext(context);
        try
        {
            Task task = method();
            for (int idle = 0; !task.IsCompleted; idle++)
            {
                Assert.True(idle < 10_000, "the method waits for what never comes");
                while (context.posted.TryDequeue(out (SendOrPostCallback Callback, object? State) next)) next.Callback(next.State);
                if (!task.IsCompleted) onIdle();
            }

            Assert.Equal(0, context.strayPosts);
            task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (Thread.CurrentThread != thread) Interlocked.Increment(ref strayPosts);
        posted.Enqueue((d, state));
    }
}
