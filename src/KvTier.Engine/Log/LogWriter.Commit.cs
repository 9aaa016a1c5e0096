namespace KvTier.Engine;

/// <summary>Commits, room, and what happens when the log refuses.</summary>
internal sealed partial class LogWriter
{
    private void StartCommit()
    {
        lock (state.Gate)
        {
            if (state.Ops.Appended == state.Ops.Durable) return;
            commitUpTo = state.Ops.Appended;
        }

        commitStart = state.Time.GetTimestamp();
        commit = log.CommitAsync().AsTask();
    }

    private async ValueTask FinishCommitAsync()
    {
        KvError? error = await commit!;
        commit = null;
        metrics.Committed(state.Time.GetElapsedTime(commitStart));
        lock (state.Gate)
        {
            if (error is not null)
            {
                state.Ops.Rewind();
                Refused(error, state.Ops.Durable + 1);
                return;
            }

            for (long number = state.Ops.Durable + 1; number <= commitUpTo; number++) NoteDurable(state.Ops[number]);
            state.Ops.Advance(commitUpTo);
            // Changes that meanwhile need no record say nothing about the log.
            if (wrote) fault.Clear(commitUpTo);
            wrote = false;
            state.SetLogGivenUp(fault.IsLong);
            waiters.CompleteUpTo(commitUpTo);
        }
    }

    // While the log refuses, changes pile up: blocks that were evicted, expiries that others replaced.
    private void CompactChanges()
    {
        LogOpQueue ops = state.Ops;
        if (commit is not null || ops.Appended != ops.Durable || ops.Last - ops.Durable < compactAt) return;
        ops.Compact(op => op.Kind != LogRecordKind.Block || IsWanted(op));
        waiters.Renumber(ops);
        compactAt = Math.Max(CompactMin, 2 * (ops.Last - ops.Durable));
    }

    private void NoteDurable(in LogOp op)
    {
        if (op.Kind != LogRecordKind.Block || op.Address.IsNone || !IsWanted(op)) return;
        ref HostSlot slot = ref state.Host.Slots[op.Slot];
        ref BlockEntry entry = ref state.Index[slot.Entry];
        state.SetAddress(ref entry, op.Address);
        state.MarkClean(ref slot);
        state.Settle(op.Slot);
        state.Host.Refresh(op.Slot);
    }

    private void Refused(KvError error, long change)
    {
        fault.Raise(error, change);
        state.Counters.LogFaults++;
        waiters.FailAfter(state.Ops.Appended, error);
    }

    private async ValueTask<bool> MakeRoomAsync()
    {
        if (!capReached && !reclaimer.IsRoomLow) return false;
        lock (state.Gate)
        {
            bool nothingToWrite = state.Ops.Appended == state.Ops.Last;
            if (nothingToWrite || fault.UntilRetry > TimeSpan.Zero) return false;
        }

        // Listing and dropping take turns with appends, and only one commit is under way at a time.
        if (commit is not null) await FinishCommitAsync();
        KvError? error = await reclaimer.ReclaimAsync(mustMakeRoom: capReached);
        capReached = false;
        if (error is null) return true;
        lock (state.Gate) Refused(error, state.Ops.Appended + 1);
        return false;
    }
}
