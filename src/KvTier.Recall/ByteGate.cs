namespace KvTier.Recall;

/// <summary>Memory that all calls under way may hold together; who finds none waits for its turn, until its deadline.</summary>
/// <remarks>Thread-safe.</remarks>
/// <param name="field">Name of the limit, for errors.</param>
/// <param name="max">Most bytes.</param>
internal sealed class ByteGate(string field, long max)
{
    /// <summary>Most calls that wait.</summary>
    internal const int WaitersMax = 4096;

    private readonly Lock gate = new();
    private readonly LinkedList<Waiter> waiters = new();
    private long taken;

    /// <summary>Bytes held now.</summary>
    internal long Taken
    {
        get
        {
            lock (gate) return taken;
        }
    }

    /// <summary>Calls that wait now.</summary>
    internal int Waiting
    {
        get
        {
            lock (gate) return waiters.Count;
        }
    }

    /// <summary>Takes bytes, in the order of the calls.</summary>
    /// <returns>Null when they are to be given back by <see cref="Return"/>; <see cref="ErrorCode.LimitExceeded"/> when there are never so
    /// many, <see cref="ErrorCode.Busy"/> when too many wait, <see cref="ErrorCode.DeadlineExceeded"/> when the time ran out.</returns>
    internal async ValueTask<KvError?> TakeAsync(long bytes, Deadline deadline)
    {
        if (bytes > max) return KvError.LimitExceeded(field, bytes, max);
        LinkedListNode<Waiter> waiter;
        lock (gate)
        {
            if (waiters.Count == 0 && taken + bytes <= max)
            {
                taken += bytes;
                return null;
            }

            if (waiters.Count == WaitersMax)
                return new KvError(ErrorCode.Busy, field, $"{waiters.Count} calls wait for memory", $"{WaitersMax}");
            waiter = waiters.AddLast(new Waiter(bytes));
        }

        if (await deadline.WaitAsync(waiter.Value.Turn.Task)) return null;
        lock (gate)
        {
            if (waiter.Value.Turn.Task.IsCompleted) return null;
            waiters.Remove(waiter);
            LetIn();
            return new KvError(ErrorCode.DeadlineExceeded, field, $"{bytes} beside {taken} of other calls", $"{max}");
        }
    }

    /// <summary>Gives bytes back.</summary>
    internal void Return(long bytes)
    {
        lock (gate)
        {
            taken -= bytes;
            LetIn();
        }
    }

    private void LetIn()
    {
        while (waiters.First is { } first && taken + first.Value.Bytes <= max)
        {
            taken += first.Value.Bytes;
            waiters.RemoveFirst();
            first.Value.Turn.TrySetResult();
        }
    }

    private sealed record Waiter(long Bytes)
    {
        internal TaskCompletionSource Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
