namespace KvTier.Recall;

/// <summary>Scoring and ranking parts for a choice that their coordinator makes.</summary>
public sealed partial class RecallService
{
    /// <summary>Scores parts, and ranks their units where that needs no word of the others.</summary>
    /// <param name="from">The silo that asks.</param>
    /// <param name="request">Units are counted in the parts.</param>
    /// <param name="score">What is asked.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>A report for each KV head of each item, and each item's cost.</returns>
    internal ValueTask<Result<(HeadReport[] Heads, RecallCost[] Costs)>> ScorePartsAsync(
        string from, RecallRequest request, PartScore score, TimeSpan deadline) =>
        GuardAsync(limit => ScorePartsCoreAsync(from, request, score, limit), deadline);

    /// <summary>Ranks what was scored.</summary>
    /// <returns>The ranks of each KV head of each item; <see cref="ErrorCode.Conflict"/> when the scores are gone.</returns>
    internal Result<RankedUnits[][]> RankParts(string from, PartRank rank)
    {
        if (sessions.Find(from, rank.Session) is not { } session) return new KvError(ErrorCode.Conflict, "session", $"{rank.Session}");
        int queries = session.Tables[0].Queries;
        if (rank.Totals.Length != session.Tables.Length * queries)
            return KvError.InvalidArgument("rank.totals", rank.Totals.Length, $"{session.Tables.Length * queries}");
        for (int i = 0; i < session.Tables.Length; i++)
        {
            ScoreTable scores = session.Tables[i];
            for (int q = 0; q < queries; q++)
            {
                float scale = MathF.Exp(rank.Maxima[(i * queries) + q] - scores.Maxima[q]);
                float total = rank.Totals[(i * queries) + q] * scale;
                scores.Totals[q] = float.IsFinite(total) ? total : 0;
            }
        }

        var ranks = new RankedUnits[session.Tables.Length][];
        pool.Run(new PartRankWork(session, ranks), ranks.Length);
        if (!session.Selector.Estimate) sessions.Remove(from, rank.Session);
        return ranks;
    }

    /// <summary>The scores of a session, by item.</summary>
    internal ArraySegment<ScoreTable>[] TablesOf(string from, PartRecall recall, int heads)
    {
        ScoreSession? session = recall.Session == 0 ? null : sessions.Find(from, recall.Session);
        return [.. recall.Items.Select(item => session is not null && item.Scored >= 0 && (item.Scored + 1) * heads <= session.Tables.Length
            ? new ArraySegment<ScoreTable>(session.Tables, item.Scored * heads, heads)
            : ArraySegment<ScoreTable>.Empty)];
    }

    /// <summary>Ends a session.</summary>
    internal void EndSession(string from, long session) => sessions.Remove(from, session);

    private async ValueTask<Result<(HeadReport[] Heads, RecallCost[] Costs)>> ScorePartsCoreAsync(
        string from, RecallRequest request, PartScore score, Deadline deadline)
    {
        if (RecallChecks.Check(request, engine.Namespaces[request.Namespace].Profile, options) is { } wrong) return wrong;
        if (!runs.TryTake(out RecallRun? run)) run = new RecallRun();
        int entered = 0;
        try
        {
            run.Begin(request, new BlockLayout(engine.Namespaces[request.Namespace].Profile));
            if (FindGrains(run, parts) is { } notThere) return new KvError(ErrorCode.Conflict, "part", notThere.Value);
            for (; entered < run.Grains.Count; entered++)
            {
                if (await run.Grains[entered].Turns.EnterAsync(deadline) is { } late) return late;
            }

            var ask = new PartAsk([.. score.Recall.Items.Select(item => item.Stamp)]);
            if ((ask.Check(run) ?? BeginItems(run, ask) ?? CheckMaps(run, score)) is { } changed) return changed;
            foreach (SequenceGrain grain in run.Grains) grain.LastUse = Interlocked.Increment(ref uses);
            return Score(from, run, score);
        }
        finally
        {
            run.End(engine, hot, device);
            for (int i = 0; i < entered; i++) run.Grains[i].Turns.Leave();
            run.Grains.Clear();
            runs.Add(run);
        }
    }

    private static KvError? CheckMaps(RecallRun run, PartScore score)
    {
        for (int i = 0; i < run.ItemCount; i++)
        {
            if (score.MapBlocks[i] != 0 && run[i].Digest is ChunkIndex { Maps: { } maps } && maps.Blocks != score.MapBlocks[i])
                return new KvError(ErrorCode.Conflict, "maps", run[i].Item.Sequence);
        }

        return null;
    }

    private Result<(HeadReport[] Heads, RecallCost[] Costs)> Score(string from, RecallRun run, PartScore score)
    {
        var reports = new HeadReport[run.ItemCount * run.KvHeads];
        ScoreTable[] kept = score.Keeps ? [.. reports.Select(_ => sessions.Rent())] : [];
        for (int i = 0; i < run.ItemCount; i++) run[i].BeginScore();
        pool.Run(new PartScoreWork(run, score, kept, reports), reports.Length);
        RecallCost[] costs = [.. Enumerable.Range(0, run.ItemCount).Select(i => new RecallCost(
            run[i].Choice.UnitsScored, run[i].Choice.DigestBytes, 0, 0, 0, 0, Reused: false, Certified: true))];
        if (!score.Keeps) return (reports, costs);
        Selector selector = run.Request.Selector;
        var session = new ScoreSession(selector, score.MostOf(selector), kept, time.GetTimestamp());
        return sessions.Add(from, score.Recall.Session, session) is { } full ? full : (reports, costs);
    }
}
