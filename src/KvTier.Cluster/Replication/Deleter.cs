namespace KvTier.Cluster;

/// <summary>Deletes copies of blocks that their owner has deleted.</summary>
internal sealed class Deleter(NodeContext node, PeerCalls calls, Settling settling, EarlierHolders earlier)
{
    private const int AttemptsMax = 3;

    /// <summary>Deletes copies; see <see cref="ClusterNode.DeleteAsync"/>.</summary>
    public async ValueTask<KvError?> RunAsync(
        ushort ns, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, TimeSpan span)
    {
        if (node.NamespaceOf(ns) is not { IsMutable: false } descriptor) return null;
        if (groups.IsEmpty) groups = ids;
        NodeDeadline deadline = node.Deadline(span);
        KvError? error = null;
        for (int attempt = 0; attempt < AttemptsMax && deadline.Left > TimeSpan.Zero && !node.IsStopping; attempt++)
        {
            ClusterMap map = node.Map;
            List<(SiloEntry Silo, List<BlockId> Ids)> targets = Targets(map, descriptor, ids.Span, groups.Span);
            KvError?[] errors = await Task.WhenAll(
                targets.Select(target => DeleteAsync(map, descriptor, target.Silo, target.Ids, deadline).AsTask()).ToList());
            error = errors.FirstOrDefault(each => each is not null);
            if (error is null && node.Map.Epoch == map.Epoch) return null;
        }

        return new KvError(ErrorCode.Unavailable, "delete", error?.Message ?? "the map changes", "all holders");
    }

    /// <summary>The holders, and who held it before, as long as a read would ask them.</summary>
    private List<(SiloEntry Silo, List<BlockId> Ids)> Targets(
        ClusterMap map, NamespaceDescriptor ns, ReadOnlySpan<BlockId> ids, ReadOnlySpan<BlockId> groups)
    {
        var targets = new List<(SiloEntry Silo, List<BlockId> Ids)>();
        int copies = map.Settings.ReplicasOf(ns);
        for (int i = 0; i < ids.Length; i++)
        {
            Holders holders = Holders.Of(map, copies + 1, groups[i]);
            for (int rank = 0; rank < holders.Count; rank++) Add(targets, map.Silos[holders[rank]], ids[i]);
            if (!settling.MayBeElsewhere(groups[i])) continue;
            foreach (SiloEntry silo in earlier.Of(map, copies, groups[i])) Add(targets, silo, ids[i]);
        }

        return targets;
    }

    private void Add(List<(SiloEntry Silo, List<BlockId> Ids)> targets, SiloEntry silo, BlockId id)
    {
        if (silo.Name == node.Self) return;
        int at = targets.FindIndex(target => target.Silo.Name == silo.Name);
        if (at < 0) targets.Add((silo, [id]));
        else if (targets[at].Ids[^1] != id) targets[at].Ids.Add(id);
    }

    private async ValueTask<KvError?> DeleteAsync(
        ClusterMap map, NamespaceDescriptor ns, SiloEntry silo, List<BlockId> ids, NodeDeadline deadline)
    {
        for (int start = 0; start < ids.Count; start += IdsQuery.IdsMax)
        {
            BlockId[] some = [.. ids.Skip(start).Take(IdsQuery.IdsMax)];
            Result<Answered<bool[]>> answer =
                await calls.HaveAsync(silo, map, ns.Id, some, deadline.AtMost(node.Options.PeerDeadline), BlockOps.Delete);
            if (!answer.IsOk) return answer.Error;
            if (answer.Value.Epoch > map.Epoch) await node.CatchUpAsync(answer.Value.Epoch, deadline.Left);
        }

        return null;
    }
}
