namespace KvTier.Recall;

/// <summary>Chooses the units of every item; a part is a KV head of an item.</summary>
internal sealed class SelectWork(RecallRun run, DeviceDigests device) : ParallelWork
{
    internal override void Run(int part) =>
        run[part / run.KvHeads].Choose(run.Request, run.Scale, part % run.KvHeads, device);
}
