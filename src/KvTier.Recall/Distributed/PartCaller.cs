namespace KvTier.Recall;

/// <summary>Asks silos for parts, this one directly, and gives up on those that don't answer in time. Thread-safe.</summary>
internal sealed class PartCaller(PartHost host, IPartPeers peers)
{
    private long sessions;

    /// <summary>A number for a session of scores, not used before by this silo.</summary>
    internal long NextSession() => Interlocked.Increment(ref sessions);

    /// <summary>Name of this silo.</summary>
    internal string Self => peers.Self;

    /// <summary>Asks a silo.</summary>
    /// <returns>Its answer; <see cref="ErrorCode.DeadlineExceeded"/> when it gave none in time, whatever it does later.</returns>
    internal async ValueTask<Result<PartMessage>> CallAsync(
        string silo, ushort op, ReadOnlyMemory<byte> body, ReadOnlyMemory<byte> payload, Deadline deadline)
    {
        var message = new PartMessage(op, peers.Epoch, body, payload);
        if (silo == peers.Self) return await host.AnswerAsync(silo, message, deadline.Remaining);
        Task<Result<PartMessage>> call = peers.CallAsync(silo, message, deadline.Remaining).AsTask();
        return await deadline.WaitAsync(call) ? await call : deadline.Error;
    }

    /// <summary>Has a part built.</summary>
    internal async ValueTask<Result<PartBuilt>> BuildAsync(string silo, PartBuild build, Deadline deadline)
    {
        Result<PartMessage> result = await CallAsync(silo, PartOps.Build, build.Write(), default, deadline);
        if (!result.TryGet(out PartMessage? reply, out KvError? error)) return error;
        return PartBuilt.Read(reply.Body.Span) is { } built ? built : Damaged(silo);
    }

    /// <summary>Has parts scored.</summary>
    /// <param name="silo">The silo.</param>
    /// <param name="score">What is asked.</param>
    /// <param name="heads">KV heads of an item.</param>
    /// <param name="units">Units of each item's part.</param>
    /// <param name="deadline">Time for it.</param>
    internal async ValueTask<Result<(HeadReport[] Heads, RecallCost[] Costs)>> ScoreAsync(
        string silo, PartScore score, int heads, int[] units, Deadline deadline)
    {
        (ReadOnlyMemory<byte> body, byte[] queries) = score.Write();
        Result<PartMessage> result = await CallAsync(silo, PartOps.Score, body, queries, deadline);
        if (!result.TryGet(out PartMessage? reply, out KvError? error)) return error;
        return ReadScores(reply.Body.Span, heads, units) is { } scores ? scores : Damaged(silo);
    }

    /// <summary>Has scored parts ranked.</summary>
    internal async ValueTask<Result<RankedUnits[][]>> RankAsync(string silo, PartRank rank, int heads, Deadline deadline)
    {
        Result<PartMessage> result = await CallAsync(silo, PartOps.Rank, rank.Write(), default, deadline);
        if (!result.TryGet(out PartMessage? reply, out KvError? error)) return error;
        return ReadRanks(reply.Body.Span, heads) is { } ranks ? ranks : Damaged(silo);
    }

    private static (HeadReport[] Heads, RecallCost[] Costs)? ReadScores(ReadOnlySpan<byte> body, int heads, int[] units)
    {
        var reader = new MessageReader(body);
        var costs = new RecallCost[reader.Count(leastBytes: 49)];
        for (int i = 0; i < costs.Length; i++) costs[i] = PartAnswer.ReadCost(ref reader);
        var reports = new HeadReport[reader.Count(leastBytes: 32)];
        if (costs.Length != units.Length || reports.Length != heads * units.Length) return null;
        for (int i = 0; i < reports.Length; i++)
        {
            if (HeadReport.Read(ref reader, units[i / heads]) is not { } report) return null;
            reports[i] = report;
        }

        return reader.IsDone ? (reports, costs) : null;
    }

    private static RankedUnits[][]? ReadRanks(ReadOnlySpan<byte> body, int heads)
    {
        var reader = new MessageReader(body);
        var ranks = new RankedUnits[reader.Count(leastBytes: 4)][];
        if (ranks.Length != heads) return null;
        for (int i = 0; i < ranks.Length; i++)
        {
            if (RankedUnits.Read(ref reader) is not { } head) return null;
            ranks[i] = head;
        }

        return reader.IsDone ? ranks : null;
    }

    /// <summary>Recalls over parts.</summary>
    internal async ValueTask<Result<PartAnswerItem[]>> RecallAsync(string silo, PartRecall recall, Deadline deadline)
    {
        (ReadOnlyMemory<byte> body, byte[] queries) = recall.Write();
        Result<PartMessage> result = await CallAsync(silo, PartOps.Recall, body, queries, deadline);
        if (!result.TryGet(out PartMessage? reply, out KvError? error)) return error;
        return PartAnswer.Read(reply) is { } items && items.Length == recall.Items.Count ? items : Damaged(silo);
    }

    private static KvError Damaged(string silo) => new(ErrorCode.Corrupt, "peer.body", silo, "the record of an answer");
}
