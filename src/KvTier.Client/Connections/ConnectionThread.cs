namespace KvTier.Client.Connections;

/// <summary>
/// A thread of its own for the loop of one connection. On it, <see cref="EagerSocket"/> waits for the socket itself. The runtime's
/// asynchronous sockets watch a socket from the first wait on and wake a thread for every piece that arrives, also while the loop is busy
/// receiving; on a machine with few processors that takes a third of the throughput.
/// </summary>
/// <remarks>A loop that awaits something else than its socket goes on in the pool, and from then on waits there without blocking.</remarks>
public static class ConnectionThread
{
    private const int StackBytes = 512 << 10;

    [ThreadStatic]
    private static bool isCurrent;

    /// <summary>True on a thread that belongs to one connection, where waiting harms nobody else.</summary>
    internal static bool IsCurrent => isCurrent;

    /// <summary>Starts a loop on a thread of its own.</summary>
    /// <param name="loop">The loop.</param>
    /// <param name="name">Name of the thread, for debuggers and profilers.</param>
    /// <returns>Completes with the loop.</returns>
    public static Task Run(Func<Task> loop, string name)
    {
        var started = new TaskCompletionSource<Task>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(
            () =>
            {
                isCurrent = true;
                started.SetResult(loop());
            },
            StackBytes)
        {
            IsBackground = true,
            Name = name,
        };
        thread.Start();
        return started.Task.Unwrap();
    }
}
