namespace KvTier.Recall;

/// <summary>Counts calls under way, and lets no more in once it is closed. Thread-safe.</summary>
internal sealed class CallGate
{
    private readonly Lock gate = new();
    private readonly TaskCompletionSource empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int inside;
    private bool closed;

    /// <summary>Completes when it is closed and nobody is inside.</summary>
    internal Task Empty => empty.Task;

    /// <summary>Lets a call in, which ends by <see cref="Leave"/>.</summary>
    /// <returns>False when it is closed.</returns>
    internal bool TryEnter()
    {
        lock (gate)
        {
            if (closed) return false;
            inside++;
            return true;
        }
    }

    /// <summary>A call ends.</summary>
    internal void Leave()
    {
        lock (gate)
        {
            if (--inside == 0 && closed) empty.TrySetResult();
        }
    }

    /// <summary>Closes it.</summary>
    /// <returns>False when it was closed before.</returns>
    internal bool Close()
    {
        lock (gate)
        {
            if (closed) return false;
            closed = true;
            if (inside == 0) empty.TrySetResult();
            return true;
        }
    }
}
