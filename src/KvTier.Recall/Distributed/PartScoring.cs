namespace KvTier.Recall;

/// <summary>Scores the KV heads of items of parts; a part of the work is a KV head of an item.</summary>
internal sealed class PartScoreWork(RecallRun run, ScoreTable[] tables, HeadScores[] scores) : ParallelWork
{
    internal override void Run(int part)
    {
        ItemRun item = run[part / run.KvHeads];
        scores[part] = item.Score(run.Request, run.Scale, part % run.KvHeads, tables[part]);
    }
}

/// <summary>Ranks what was scored.</summary>
internal sealed class PartRankWork(ScoreSession session, RankedUnits[][] ranks) : ParallelWork
{
    internal override void Run(int part) => ranks[part] = RankedUnits.Of(session.Tables[part], session.Selector, session.Most);
}
