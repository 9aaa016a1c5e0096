using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Tells the tiers what recall picked: picked blocks are warm, blocks that it has not picked for long are cold.</summary>
/// <param name="engine">Where the blocks are.</param>
internal sealed class Feedback(BlockEngine engine)
{
    /// <summary>Tells of a run. A lease has warmed its block already.</summary>
    internal void Give(RecallRun run)
    {
        foreach (SequenceGrain grain in run.Grains)
        {
            var warm = new List<BlockId>();
            foreach (ref BlockSource source in run.Sources.Span)
            {
                if (source.Grain == grain && !source.IsLeased && source.Reason == MissReason.None)
                    warm.Add(grain.State![source.Block].Id);
            }

            if (warm.Count > 0) engine.Warm(grain.Namespace, warm.ToArray());
            if (grain.Memory.Picks.IsDue) Cool(grain);
        }
    }

    private void Cool(SequenceGrain grain)
    {
        var cold = new List<int>();
        grain.Memory.Picks.TakeCold(grain.State!.Blocks.Count, cold);
        if (cold.Count > 0) engine.Cool(grain.Namespace, cold.ConvertAll(block => grain.State[block].Id).ToArray());
    }
}
