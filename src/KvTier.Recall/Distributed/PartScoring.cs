namespace KvTier.Recall;

/// <summary>Scores the KV heads of items of parts, and ranks their units where that needs no word of the others; a part of the work is a KV
/// head of an item.</summary>
/// <param name="run">The items.</param>
/// <param name="score">What is asked.</param>
/// <param name="kept">A table for each KV head whose scores are kept; empty when none are.</param>
/// <param name="reports">Receives what is reported of each.</param>
internal sealed class PartScoreWork(RecallRun run, PartScore score, ScoreTable[] kept, HeadReport[] reports) : ParallelWork
{
    internal override void Run(int part)
    {
        ItemRun item = run[part / run.KvHeads];
        Selector selector = run.Request.Selector;
        ScoreTable table = kept.Length > 0 ? kept[part] : ScoreTable.Current;
        HeadScores scores = item.Score(run.Request, run.Scale, part % run.KvHeads, table);
        bool needsMass = RankRule.NeedsMass(selector);
        RankedUnits[] ranks = score.ByHeads ? RankedUnits.ByHeads(table, score.Most)
            : needsMass ? []
            : RankedUnits.Of(table, selector, score.MostOf(selector));
        reports[part] = HeadReport.Of(scores, table, needsMass, ranks);
    }
}

/// <summary>Ranks what was scored.</summary>
internal sealed class PartRankWork(ScoreSession session, RankedUnits[][] ranks) : ParallelWork
{
    internal override void Run(int part) => ranks[part] = RankedUnits.Of(session.Tables[part], session.Selector, session.Most);
}
