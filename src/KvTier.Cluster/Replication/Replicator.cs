namespace KvTier.Cluster;

/// <summary>Copies blocks that were just sealed to the other holders of their groups.</summary>
internal sealed class Replicator(NodeContext node, PeerCalls calls, ReplicaQueue queue)
{
    private static readonly TimeSpan retryFirst = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan retryLongest = TimeSpan.FromMilliseconds(200);

    /// <summary>Copies blocks; see <see cref="ClusterNode.ReplicateAsync"/>.</summary>
    public ValueTask<KvError?> ReplicateAsync(
        ushort ns, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, AckLevel ack, TimeSpan deadline)
    {
        if (node.NamespaceOf(ns) is not { } descriptor)
            return new ValueTask<KvError?>(new KvError(ErrorCode.NamespaceUnknown, "namespace", $"{ns}"));
        if (groups.IsEmpty) groups = ids;
        if (groups.Length != ids.Length)
            return new ValueTask<KvError?>(KvError.InvalidArgument("groups", groups.Length, $"{ids.Length}, or none"));
        if (ack == AckLevel.Replica && node.Map.Settings.ReplicasOf(descriptor) < 2)
        {
            return new ValueTask<KvError?>(
                new KvError(ErrorCode.Unsupported, "ack", "replica", $"memory or ssd, as {descriptor.Name} has one copy"));
        }

        if (descriptor.IsMutable) return default;
        if (ack == AckLevel.Replica && !node.Faults.AckBeforeReplica) return WaitAsync(ns, descriptor, ids, groups, deadline);
        queue.Add(ns, descriptor, ids.Span, groups.Span);
        return default;
    }

    private async ValueTask<KvError?> WaitAsync(
        ushort ns, NamespaceDescriptor descriptor, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, TimeSpan span)
    {
        KvError? error = await PushAllAsync(ns, descriptor, ids, groups, node.Deadline(span));
        NodeCounters counters = node.Counters;
        if (error is null)
        {
            NodeCounters.Add(ref counters.ReplicaAcks, ids.Length);
            if (queue.HasMore(descriptor)) queue.Add(ns, descriptor, ids.Span, groups.Span);
            return null;
        }

        NodeCounters.Add(ref counters.ReplicaFailures, ids.Length);
        queue.Add(ns, descriptor, ids.Span, groups.Span);
        return error;
    }

    private async ValueTask<KvError?> PushAllAsync(
        ushort ns, NamespaceDescriptor descriptor, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, NodeDeadline deadline)
    {
        TimeSpan retry = retryFirst;
        for (int attempt = 0; ; attempt++)
        {
            ClusterMap map = node.Map;
            int copies = map.Settings.ReplicasOf(descriptor);
            if (TooFew(map, copies, groups.Span) is { } tooFew) return tooFew;
            var push = new ReplicaPush(node, calls, map, ns, descriptor);
            ReplicaOutcome outcome = await push.RunAsync(ids, groups, copies, ask: attempt > 0, deadline);
            if (outcome == ReplicaOutcome.Failed) return push.Error;
            if (outcome == ReplicaOutcome.Done)
            {
                // Who was to hold the blocks when they were pushed may not be by now: then those that are must have them too.
                if (node.Map.Epoch == map.Epoch || node.Faults.SkipEpochRecheck) return Fence(groups.Span);
                continue;
            }

            if (push.NewestEpoch > map.Epoch) await node.CatchUpAsync(push.NewestEpoch, deadline.Left);
            if (node.Map.Epoch == map.Epoch) await node.PauseAsync(deadline.AtMost(retry));
            if (deadline.Left == TimeSpan.Zero || node.IsStopping) return push.Error;
            retry = retry * 2 < retryLongest ? retry * 2 : retryLongest;
        }
    }

    private KvError? Fence(ReadOnlySpan<BlockId> groups)
    {
        for (int i = 0; i < groups.Length && !node.Faults.SkipMayWrite; i++)
        {
            if (i > 0 && groups[i] == groups[i - 1]) continue;
            if (!node.Membership.MayWriteTo(groups[i]))
                return new KvError(ErrorCode.Fenced, "ack", "replica", "a silo whose lease holds");
        }

        return null;
    }

    private static KvError? TooFew(ClusterMap map, int copies, ReadOnlySpan<BlockId> groups)
    {
        int found = groups.IsEmpty ? copies : Holders.Of(map, copies, groups[0]).Count;
        return found >= copies
            ? null
            : new KvError(ErrorCode.Unavailable, "ack", $"replica: {found} of {copies} copies", $"{copies} silos that hold blocks");
    }
}
