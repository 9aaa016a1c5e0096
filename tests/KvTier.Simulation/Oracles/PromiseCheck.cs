using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>Nothing that was promised is lost: looked at whenever the cluster is at rest.</summary>
internal sealed class PromiseCheck(SimWorld world)
{
    /// <summary>Fails the run when a promise is broken.</summary>
    internal void Check()
    {
        HashSet<BlockId> here = [];
        foreach (SimSilo silo in world.Silos.Where(silo => silo.IsWanted))
        {
            foreach (WalkedBlock block in silo.Run!.WalkBlocks()) here.Add(block.Id);
        }

        foreach ((BlockId id, Ledger.BlockPromise promise) in world.Ledger.Promised)
        {
            if (here.Contains(id)) continue;
            if (promise.ByReplica && world.Plan.OneAtATime)
                world.Scheduler.Fail("no acknowledged block is lost", $"{Workload.Name(id)} was acknowledged by replicas and is nowhere");
            else if (promise.BySsd)
                world.Scheduler.Fail("no durable block is lost", $"{Workload.Name(id)} was acknowledged by an SSD and is nowhere");
        }
    }
}
