namespace KvTier.Recall;

/// <summary>Chooses the units of every item; a part is an item.</summary>
internal sealed class SelectWork(RecallRun run, DeviceDigests device) : ParallelWork
{
    internal override void Run(int part) => run[part].Choose(run.Request, run.Scale, device);
}
