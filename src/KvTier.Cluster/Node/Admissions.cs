namespace KvTier.Cluster;

/// <summary>What this silo serves and takes, by the newest map. Allocates nothing.</summary>
internal sealed class Admissions(NodeContext node, Reservations reservations, HotHeld hot)
{
    /// <summary>Says what is to be done with a request of a client.</summary>
    public Admission Of(NamespaceDescriptor ns, BlockId group, AccessKind kind)
    {
        ClusterMap map = node.Map;
        int owner = map.OwnerOf(group);
        NodeCounters counters = node.Counters;
        if (owner < 0 || owner != map.IndexOf(node.Self))
        {
            NodeCounters.Add(ref counters.Moved);
            return Admission.Moved;
        }

        // A block that is what its key says is right wherever it is; a value that can change is right only where nobody else changes it.
        bool isRight = kind == AccessKind.Read && !ns.IsMutable;
        if (isRight || node.Membership.MayWriteTo(group) || node.Faults.SkipMayWrite) return Admission.Serve;
        NodeCounters.Add(ref counters.Fenced);
        return Admission.Fenced;
    }

    /// <summary>Says what is to be done with blocks that another silo pushes.</summary>
    public Admission OfPush(PushRole role, long epoch, NamespaceDescriptor ns, BlockId group)
    {
        if (node.Faults.SkipPushFence) return Admission.Serve;
        if (ns.IsMutable) return Admission.Moved;
        ClusterMap map = node.Map;
        int self = map.IndexOf(node.Self);
        if (self < 0 || epoch > map.Epoch) return Admission.Moved;
        if (role == PushRole.Replica && epoch != map.Epoch) return Admission.Moved;
        if (Holders.Of(map, map.Settings.ReplicasOf(ns), group).RankOf(self) >= 0) return Admission.Serve;
        bool isAwaited = hot.Holds(group) || (role == PushRole.HandOver && reservations.Use(group));
        return isAwaited ? Admission.Serve : Admission.Moved;
    }
}
