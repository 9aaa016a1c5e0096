namespace KvTier.Engine;

/// <summary>Those who wait until a change is durable: one object for each who waits, however many blocks it waits for. Called under the
/// engine's lock.</summary>
internal sealed class DurabilityWaiters
{
    private readonly List<Waiter> waiters = [];

    /// <summary>Callers that wait.</summary>
    internal int Count => waiters.Count;

    /// <summary>Begins to wait for a change.</summary>
    internal Waiter Add(long ticket)
    {
        var waiter = new Waiter(ticket);
        waiters.Add(waiter);
        return waiter;
    }

    /// <summary>A waiter gave up.</summary>
    internal void Remove(Waiter waiter) => waiters.Remove(waiter);

    /// <summary>Everything up to a change is durable.</summary>
    internal void CompleteUpTo(long durable) => Complete(static (waiter, limit) => waiter.Ticket <= limit, durable, null);

    /// <summary>The changes got other numbers.</summary>
    internal void Renumber(LogOpQueue ops)
    {
        foreach (Waiter waiter in waiters) waiter.Ticket = ops.Renumbered(waiter.Ticket);
    }

    /// <summary>What comes after a change can't be made durable now.</summary>
    internal void FailAfter(long appended, KvError error) => Complete(static (waiter, limit) => waiter.Ticket > limit, appended, error);

    private void Complete(Func<Waiter, long, bool> concerns, long limit, KvError? error)
    {
        int kept = 0;
        for (int i = 0; i < waiters.Count; i++)
        {
            Waiter waiter = waiters[i];
            if (concerns(waiter, limit)) waiter.Complete(error);
            else waiters[kept++] = waiter;
        }

        waiters.RemoveRange(kept, waiters.Count - kept);
    }

    /// <summary>One who waits.</summary>
    /// <param name="ticket">The last change that has to be durable.</param>
    internal sealed class Waiter(long ticket)
    {
        private readonly TaskCompletionSource<KvError?> source = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>The last change that has to be durable.</summary>
        internal long Ticket { get; set; } = ticket;

        /// <summary>Null when it is durable, else why not.</summary>
        internal Task<KvError?> Task => source.Task;

        internal void Complete(KvError? error) => source.TrySetResult(error);
    }
}
