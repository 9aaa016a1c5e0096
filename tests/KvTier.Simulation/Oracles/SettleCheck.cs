using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>
/// What a cluster at rest looks like: one map everywhere with exactly the silos that run, everybody settled, every block on its holders and
/// nowhere else, nothing leased or reserved.
/// </summary>
internal sealed class SettleCheck(SimWorld world)
{
    /// <summary>Says what is missing.</summary>
    /// <returns>Null when the cluster is at rest.</returns>
    internal string? WhyNot() => OfMembers() ?? OfBlocks() ?? OfEngines();

    private string? OfMembers()
    {
        ClusterState state = world.Etcd.State;
        ClusterMap map = state.Map;
        List<string> up = [.. world.Silos.Where(silo => silo.IsWanted).Select(silo => silo.Name)];
        string members = string.Join(' ', map.Silos.Select(silo => silo.Name));
        if (!map.Silos.Select(silo => silo.Name).SequenceEqual(up.Order(StringComparer.Ordinal)))
            return $"members are {members}, running are {string.Join(' ', up)}";
        foreach (SimSilo silo in world.Silos.Where(silo => silo.IsWanted))
        {
            if (silo.Run is not { IsServing: true } run) return $"{silo.Name} does not serve";
            if (run.Membership.State.Map.Epoch != map.Epoch)
                return $"{silo.Name} is at epoch {run.Membership.State.Map.Epoch}, etcd at {map.Epoch}";
            if (!run.Membership.MayWrite) return $"{silo.Name} may not write";
            if ((state.Loads.GetValueOrDefault(silo.Name)?.SettledEpoch ?? -1) < map.MembersEpoch)
                return $"{silo.Name} settled {state.Loads.GetValueOrDefault(silo.Name)?.SettledEpoch}, members are of {map.MembersEpoch}";
        }

        return null;
    }

    private string? OfBlocks()
    {
        ClusterMap map = world.Etcd.Map;
        var placed = new Dictionary<BlockId, (NamespaceDescriptor Namespace, BlockId Group, List<string> Silos)>();
        foreach (SimSilo silo in world.Silos.Where(silo => silo.IsWanted))
        {
            foreach (WalkedBlock block in silo.Run!.WalkBlocks())
            {
                if (!placed.TryGetValue(block.Id, out var place))
                    placed.Add(block.Id, place = (silo.Run.Store.Namespaces[block.Namespace], block.Group, []));
                if (place.Group != block.Group) return $"{Workload.Name(block.Id)} is of two groups";
                place.Silos.Add(silo.Name);
            }
        }

        Span<int> holders = stackalloc int[ClusterSettings.ReplicasMax];
        foreach ((BlockId id, (NamespaceDescriptor ns, BlockId group, List<string> silos)) in placed)
        {
            // Values are not handed over: what a former owner still has of them, nobody reads. A delete is the owner's
            // alone, so that a deleted block may be left with some of its holders.
            if (ns.IsMutable || world.Ledger.WasDeleted(id)) continue;
            int count = map.FindHolders(group, holders[..map.Settings.ReplicasOf(ns)]);
            var wanted = new List<string>();
            foreach (int holder in holders[..count]) wanted.Add(map.Silos[holder].Name);
            if (!wanted.Order(StringComparer.Ordinal).SequenceEqual(silos.Order(StringComparer.Ordinal)))
                return $"{Workload.Name(id)} is on {string.Join(' ', silos)}, its holders are {string.Join(' ', wanted)}";
        }

        return null;
    }

    private string? OfEngines()
    {
        foreach (SimSilo silo in world.Silos.Where(silo => silo.IsWanted))
        {
            Engine.EngineStats stats = silo.Run!.Engine.Stats;
            bool idle = world.Clients.All(client => client.Running == 0);
            if (idle && (stats.LeasedSlots, stats.ReservedSlots, stats.ScratchSlots) != (0, 0, 0))
                return $"{silo.Name} has {stats.LeasedSlots} leased, {stats.ReservedSlots} reserved, {stats.ScratchSlots} scratch slots";
        }

        return null;
    }
}
