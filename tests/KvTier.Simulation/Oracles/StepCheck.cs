using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>
/// What must hold after every event: a map of an epoch is the same everywhere, and no two silos would take a change of one group.
/// </summary>
internal sealed class StepCheck(SimWorld world)
{
    private readonly Dictionary<string, ClusterMap> seen = new(StringComparer.Ordinal);

    /// <summary>Fails the run when it does not.</summary>
    internal void Check()
    {
        long epoch = -1;
        bool differ = false;
        int writers = 0;
        foreach (SimSilo silo in world.Silos)
        {
            if (silo.Run is not { IsServing: true } run) continue;
            ClusterMap map = run.Membership.State.Map;
            if (!seen.TryGetValue(silo.Name, out ClusterMap? last) || last != map) CheckMap(silo.Name, map);
            if (!run.Membership.MayWrite) continue;
            writers++;
            differ |= epoch >= 0 && epoch != map.Epoch;
            epoch = map.Epoch;
        }

        // Silos with one map have one owner for each group, as it is computed.
        if (writers > 1 && differ) CheckOwners();
    }

    /// <summary>A silo tells that it has changed a value: no other may be its owner now.</summary>
    internal void OnChanged(SimSilo by, BlockId value)
    {
        foreach (SimSilo silo in world.Silos)
        {
            if (silo == by || silo.Run is not { IsServing: true } run) continue;
            if (run.Node.Admit(Workload.Mutable, value, AccessKind.Change) != Admission.Serve) continue;
            world.Scheduler.Fail("one owner", $"{by.Name} tells that it has changed {Workload.Name(value)}, which {silo.Name} owns");
        }
    }

    private void CheckMap(string silo, ClusterMap map)
    {
        seen[silo] = map;
        ClusterMap truth = world.Etcd.Maps[map.Epoch];
        if (map.MembersEpoch != truth.MembersEpoch || !map.Silos.SequenceEqual(truth.Silos) || map.Moved.Count != truth.Moved.Count)
            world.Scheduler.Fail("one map for each epoch", $"{silo} has another map of epoch {map.Epoch}");
    }

    private void CheckOwners()
    {
        foreach (BlockId value in Workload.ValueIds)
        {
            string? owner = null;
            foreach (SimSilo silo in world.Silos)
            {
                if (silo.Run is not { IsServing: true } run) continue;
                if (run.Node.Admit(Workload.Mutable, value, AccessKind.Change) != Admission.Serve) continue;
                if (owner is not null)
                {
                    world.Scheduler.Fail(
                        "one owner", $"{owner} and {silo.Name} would both change {Workload.Name(value)}, "
                        + $"at epochs {world.Find(owner).Run!.Node.Map.Epoch} and {run.Node.Map.Epoch}");
                }

                owner = silo.Name;
            }
        }
    }
}
