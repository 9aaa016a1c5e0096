namespace KvTier.Recall;

/// <summary>Chooses the units of every item; a part is an item.</summary>
internal sealed class SelectWork(RecallRun run) : ParallelWork
{
    internal override void Run(int part) => run[part].Choose(run.Request, run.Scale);
}
