namespace KvTier.Engine;

/// <summary>
/// One call that waits for ranges of blocks from the log. It owns the right to write into the caller's memory: once the caller has been
/// answered, nobody writes there any more.
/// </summary>
/// <param name="results">The caller's results, one for each block.</param>
internal sealed class RangeBatch(Memory<RangeReadResult> results)
{
    private const int Closed = 1 << 30;

    private readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int writers;

    /// <summary>Items whose reads have not ended, and one while reads are added. Guarded by the engine's lock.</summary>
    internal int Left { get; set; } = 1;

    /// <summary>True when the caller has given up.</summary>
    internal bool IsClosed => (Volatile.Read(ref writers) & Closed) != 0;

    /// <summary>Completes when every read has ended.</summary>
    internal Task Done => done.Task;

    /// <summary>Begins to write into the caller's memory; <see cref="Exit"/> has to follow.</summary>
    /// <returns>False when the caller has given up: write nothing.</returns>
    internal bool TryEnter()
    {
        if ((Interlocked.Increment(ref writers) & Closed) == 0) return true;
        Interlocked.Decrement(ref writers);
        return false;
    }

    /// <summary>Ends a write into the caller's memory.</summary>
    internal void Exit() => Interlocked.Decrement(ref writers);

    /// <summary>The caller gives up: no write begins from now on.</summary>
    internal void Close() => Interlocked.Or(ref writers, Closed);

    /// <summary>After <see cref="Close"/>: waits for copies under way, of a few hundred kilobytes at most.</summary>
    internal void AwaitWriters()
    {
        var spin = default(SpinWait);
        while (Volatile.Read(ref writers) != Closed) spin.SpinOnce();
    }

    /// <summary>Gives a block's result to the caller.</summary>
    internal void Report(int index, in RangeReadResult result)
    {
        if (!TryEnter()) return;
        results.Span[index] = result;
        Exit();
    }

    /// <summary>Reads have ended, or the adding of reads. Needs the engine's lock.</summary>
    internal void End(int items = 1)
    {
        Left -= items;
        if (Left == 0) done.TrySetResult();
    }
}
