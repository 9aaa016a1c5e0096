namespace KvTier.Simulation;

/// <summary>Values that change.</summary>
internal sealed partial class SimClient
{
    /// <summary>Sets or deletes a value.</summary>
    internal async Task<string?> ChangeAsync(int value, bool delete, Budget budget)
    {
        int version = ledger.BeginChange(value);
        if (version == 0) return "another change is under way";
        bool? made = false;
        string? error = "no owner";
        SimBlock block = Workload.Value(value, version);
        while (!budget.IsOver)
        {
            if (map is null) await RefreshAsync(budget);
            if (OwnerOf(block.Group) is { } silo)
            {
                (made, error) = await ChangeAtAsync(silo, block, delete, budget);
                if (made != false) break;
            }

            await Process.DelayAsync(random.NextTicks(5 * Ticks.Ms, 100 * Ticks.Ms));
            await RefreshAsync(budget);
        }

        ledger.EndChange(value, version, made);
        return made == true ? null : error;
    }

    /// <summary>Reads a value.</summary>
    internal async Task<string?> GetValueAsync(int value, Budget budget)
    {
        BlockId id = Workload.ValueIds[value];
        string? error = "no owner";
        while (!budget.IsOver)
        {
            if (map is null) await RefreshAsync(budget);
            if (OwnerOf(id) is { } silo)
            {
                int floor = ledger.FloorOf(value);
                Result<SimFound> answer = await CallAsync<SimFound>(
                    silo, target => target.GetValueAsync(id, map!.Epoch, callDeadline), budget, mayRepeat: true);
                error = answer.Error?.Message;
                if (answer.IsOk && answer.Value.Payload is { } bytes) ledger.ReadValue(value, floor, bytes);
                if (answer.IsOk && answer.Value.Reason != MissReason.Moved) return null;
                if (answer.Error is { Code: ErrorCode.Unavailable or ErrorCode.DeadlineExceeded }) await RefreshAsync(budget, silo);
            }

            await Process.DelayAsync(random.NextTicks(5 * Ticks.Ms, 100 * Ticks.Ms));
            await RefreshAsync(budget);
        }

        return error;
    }

    // A change that was refused was not made and may be tried again; one that was not answered may have been, or may be later.
    private async ValueTask<(bool? Made, string? Error)> ChangeAtAsync(string silo, SimBlock block, bool delete, Budget budget)
    {
        long epoch = map!.Epoch;
        SimBlock sent = block with { Payload = [.. block.Payload] };
        Result<SimChangeReply> answer = await CallAsync<SimChangeReply>(
            silo, target => target.ChangeAsync(sent, delete, epoch, callDeadline), budget, mayRepeat: false);
        if (!answer.TryGet(out SimChangeReply? reply, out KvError? error))
            return (error.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded ? null : false, error.Message);
        return (reply.Statuses[0] == SimStatus.Done, reply.Error?.Message ?? (reply.Statuses[0] == SimStatus.Done ? null : "moved"));
    }
}
