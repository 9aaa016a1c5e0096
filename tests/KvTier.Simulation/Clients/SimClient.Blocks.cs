namespace KvTier.Simulation;

/// <summary>Blocks.</summary>
internal sealed partial class SimClient
{
    /// <summary>Stores blocks of a sequence.</summary>
    internal async Task<string?> PutAsync(IReadOnlyList<SimBlock> blocks, AckLevel ack, Budget budget)
    {
        List<SimBlock> left = [.. blocks];
        string error = "no map";
        while (left.Count > 0)
        {
            if (map is null) await RefreshAsync(budget);
            var again = new List<SimBlock>();
            foreach ((string? silo, List<SimBlock> mine) in ByOwner(left, block => block.Group))
            {
                string? failed = silo is null ? "no owner" : await PutAtAsync(silo, mine, ack, again, budget);
                if (failed is null) continue;
                error = failed;
                again.AddRange(mine.Except(again));
            }

            left = again;
            if (left.Count == 0) break;
            if (budget.IsOver) return $"{left.Count} blocks not stored: {error}";
            await Process.DelayAsync(random.NextTicks(5 * Ticks.Ms, 100 * Ticks.Ms));
            await RefreshAsync(budget);
        }

        return null;
    }

    /// <summary>Reads blocks of a sequence.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="hedge">True to ask a replica too.</param>
    /// <param name="found">Takes the ids of those that came.</param>
    /// <param name="budget">Time for it.</param>
    internal async Task<string?> GetAsync(IReadOnlyList<SimBlock> blocks, bool hedge, ISet<BlockId> found, Budget budget)
    {
        List<SimBlock> left = [.. blocks];
        List<BlockId> promised = [.. blocks.Select(block => block.Id).Where(ledger.MustBeFound)];
        string error = "no map";
        while (left.Count > 0)
        {
            if (map is null) await RefreshAsync(budget);
            var again = new List<SimBlock>();
            foreach ((string? silo, List<SimBlock> mine) in ByOwner(left, block => block.Group))
            {
                if (hedge && ReplicaOf(mine[0].Group) is { } replica) await GetAtAsync(replica, mine, true, found, [], budget);
                string? failed = silo is null ? "no owner" : await GetAtAsync(silo, mine, false, found, again, budget);
                if (failed is null) continue;
                error = failed;
                again.AddRange(mine.Except(again));
            }

            left = again;
            if (left.Count == 0) break;
            if (budget.IsOver) return $"{left.Count} blocks without an answer: {error}";
            await Process.DelayAsync(random.NextTicks(5 * Ticks.Ms, 100 * Ticks.Ms));
            await RefreshAsync(budget);
        }

        // What was promised before the read and is promised still was there all the time: nothing went wrong meanwhile.
        foreach (BlockId id in promised)
        {
            if (ledger.MustBeFound(id) && !found.Contains(id))
                scheduler.Fail("a read finds what is there", $"{Workload.Name(id)} was stored, nothing went wrong since, and it is a miss");
        }

        return null;
    }

    /// <summary>Asks how much of a sequence is there.</summary>
    internal async Task<string?> PrefixAsync(IReadOnlyList<SimBlock> blocks, Budget budget)
    {
        if (map is null) await RefreshAsync(budget);
        if (OwnerOf(blocks[0].Group) is not { } silo) return "no owner";
        SimGet get = Ask(blocks, hereOnly: false);
        Result<SimPrefixReply> reply = await CallAsync<SimPrefixReply>(silo, target => target.PrefixAsync(get), budget, mayRepeat: true);
        if (!reply.IsOk) await RefreshAsync(budget, silo);
        return reply.Error?.Message;
    }

    /// <summary>Deletes blocks of a sequence.</summary>
    internal async Task<string?> DeleteAsync(IReadOnlyList<SimBlock> blocks, Budget budget)
    {
        if (map is null) await RefreshAsync(budget);
        foreach (SimBlock block in blocks) ledger.Deleting(block.Id);
        string? error = null;
        foreach ((string? silo, List<SimBlock> mine) in ByOwner(blocks, block => block.Group))
        {
            if (silo is null) continue;
            Result<SimChangeReply> reply = await CallAsync<SimChangeReply>(
                silo, target => target.DeleteAsync(map!.Epoch, mine), budget, mayRepeat: true);
            error ??= reply.Error?.Message;
        }

        return error;
    }

    private async ValueTask<string?> PutAtAsync(string silo, List<SimBlock> blocks, AckLevel ack, List<SimBlock> again, Budget budget)
    {
        var put = new SimPut(
            Workload.Blocks, map!.Epoch, ack, [.. blocks.Select(block => block with { Payload = [.. block.Payload] })], callDeadline);
        Result<SimPutReply> answer = await CallAsync<SimPutReply>(silo, target => target.PutAsync(put), budget, mayRepeat: true);
        if (!answer.TryGet(out SimPutReply? reply, out KvError? error)) return error.Message;
        for (int i = 0; i < blocks.Count; i++)
        {
            if (reply.Statuses[i] != SimStatus.Done || (ack != AckLevel.Memory && reply.Error is not null)) again.Add(blocks[i]);
            else ledger.Acknowledged(blocks[i].Id, ack);
        }

        return reply.Error?.Message;
    }

    private async ValueTask<string?> GetAtAsync(
        string silo, List<SimBlock> blocks, bool hereOnly, ISet<BlockId> found, List<SimBlock> again, Budget budget)
    {
        SimGet get = Ask(blocks, hereOnly);
        Result<SimGetReply> answer = await CallAsync<SimGetReply>(silo, target => target.GetAsync(get), budget, mayRepeat: true);
        if (!answer.TryGet(out SimGetReply? reply, out KvError? error)) return error.Message;
        for (int i = 0; i < blocks.Count; i++)
        {
            SimFound one = reply.Found[i];
            if (one.Payload is { } payload)
            {
                ledger.Read(blocks[i].Id, payload);
                found.Add(blocks[i].Id);
            }
            else if (one.Reason is MissReason.Moved or MissReason.Deadline or MissReason.ShuttingDown)
            {
                again.Add(blocks[i]);
            }
        }

        return null;
    }

    private SimGet Ask(IReadOnlyList<SimBlock> blocks, bool hereOnly) => new(
        Workload.Blocks, map!.Epoch, [.. blocks.Select(block => block.Id)], [.. blocks.Select(block => block.Group)], hereOnly,
        callDeadline);

    private string? ReplicaOf(BlockId group)
    {
        Span<int> holders = stackalloc int[2];
        return map is not null && map.FindHolders(group, holders) == 2 ? map.Silos[holders[1]].Name : null;
    }

    private List<(string? Silo, List<SimBlock> Blocks)> ByOwner(IReadOnlyList<SimBlock> blocks, Func<SimBlock, BlockId> groupOf)
    {
        var parts = new List<(string? Silo, List<SimBlock> Blocks)>();
        foreach (SimBlock block in blocks)
        {
            string? silo = OwnerOf(groupOf(block));
            int part = parts.FindIndex(each => each.Silo == silo);
            if (part < 0) parts.Add((silo, [block]));
            else parts[part].Blocks.Add(block);
        }

        return parts;
    }
}
