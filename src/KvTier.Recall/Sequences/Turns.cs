namespace KvTier.Recall;

/// <summary>
/// The mailbox of a sequence: messages take turns in the order in which they came, one at a time, and those that wait are bounded.
/// Thread-safe.
/// </summary>
/// <param name="waitersMax">Most messages that wait.</param>
internal sealed class Turns(int waitersMax)
{
    private readonly Lock gate = new();
    private readonly LinkedList<TaskCompletionSource<KvError?>> waiting = new();
    private KvError? closed;
    private bool taken;

    /// <summary>Waits for a turn, which ends by <see cref="Leave"/>.</summary>
    /// <returns>Null with the turn; else <see cref="ErrorCode.Busy"/>, <see cref="ErrorCode.DeadlineExceeded"/> or why it is closed.
    /// </returns>
    internal ValueTask<KvError?> EnterAsync(Deadline deadline)
    {
        lock (gate)
        {
            if (closed is not null) return new ValueTask<KvError?>(closed);
            if (!taken)
            {
                taken = true;
                return default;
            }

            if (deadline.IsOver) return new ValueTask<KvError?>(deadline.Error);
            if (waiting.Count >= waitersMax)
                return new ValueTask<KvError?>(new KvError(ErrorCode.Busy, "recall.mailboxMax", $"{waiting.Count}", $"{waitersMax}"));
            var mine = new TaskCompletionSource<KvError?>(TaskCreationOptions.RunContinuationsAsynchronously);
            return WaitAsync(waiting.AddLast(mine), deadline);
        }
    }

    /// <summary>Takes a turn if nobody has it.</summary>
    internal bool TryEnter()
    {
        lock (gate)
        {
            if (taken || closed is not null) return false;
            return taken = true;
        }
    }

    /// <summary>Ends a turn: the next message has it.</summary>
    internal void Leave()
    {
        lock (gate)
        {
            if (waiting.First is not { } next)
            {
                taken = false;
                return;
            }

            waiting.RemoveFirst();
            next.Value.SetResult(null);
        }
    }

    /// <summary>Refuses every message that waits or comes from now on.</summary>
    internal void Close(KvError why)
    {
        lock (gate)
        {
            closed ??= why;
            foreach (TaskCompletionSource<KvError?> waiter in waiting) waiter.SetResult(closed);
            waiting.Clear();
        }
    }

    private async ValueTask<KvError?> WaitAsync(LinkedListNode<TaskCompletionSource<KvError?>> mine, Deadline deadline)
    {
        Task<KvError?> turn = mine.Value.Task;
        if (!await deadline.WaitAsync(turn))
        {
            lock (gate)
            {
                if (mine.List is not null)
                {
                    waiting.Remove(mine);
                    return deadline.Error;
                }
            }
        }

        return await turn;
    }
}
