namespace KvTier.Engine;

/// <summary>A read of the log into a slot, and those who wait for it. Guarded by the engine's lock.</summary>
internal sealed class SsdRead
{
    private readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal required ushort Namespace { get; init; }

    internal required BlockId Id { get; init; }

    internal required LogAddress Address { get; init; }

    internal required int Length { get; init; }

    internal required int Slot { get; init; }

    /// <summary>Callers that each get a lease when the read ends well.</summary>
    internal int Waiters { get; set; }

    /// <summary>Those of them whose use of the block does not count.</summary>
    internal int QuietWaiters { get; set; }

    /// <summary>Its place among those that have not begun; <see langword="null"/> once it has.</summary>
    internal LinkedListNode<SsdRead>? Place { get; set; }

    /// <summary>Completes when the read has ended.</summary>
    internal Task Done => done.Task;

    /// <summary>True when the read has ended and <see cref="Outcome"/> is set.</summary>
    internal bool IsDone { get; private set; }

    /// <summary>What each who waits gets; <see langword="null"/> when the block changed meanwhile and has to be looked up again.</summary>
    internal LeaseResult? Outcome { get; private set; }

    internal void End(LeaseResult? outcome)
    {
        Outcome = outcome;
        IsDone = true;
        done.TrySetResult();
    }
}
