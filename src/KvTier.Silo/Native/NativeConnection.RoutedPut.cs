using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>Puts in a cluster: who may put what where, and the copies that follow.</content>
internal sealed partial class NativeConnection
{
    /// <summary>What is refused as a whole, whatever the blocks are.</summary>
    private KvError? CheckRoute(NamespaceDescriptor ns, PutWork work)
    {
        if (work.Route.IsPush && !isPeer)
        {
            return new KvError(
                ErrorCode.Unauthorized, "put.role", work.Route.Role.ToString(), "a connection that has shown the token of silos");
        }

        if (work.Route.IsPlain) return KvError.InvalidArgument("put.role", work.Route.Role.ToString(), "a role of puts");
        if (cluster is null)
        {
            return work.Ack == AckLevel.Replica ? NoReplicas("put.ack") : null;
        }

        return work.Overwrite && !ns.IsMutable
            ? KvError.InvalidArgument("put.flags", "overwrite", "none in a cluster, where blocks of this namespace never change")
            : null;
    }

    private static KvError NoReplicas(string field) =>
        new(ErrorCode.Unsupported, field, "replica", "memory or ssd; this silo is in no cluster");

    private async ValueTask BeginRoutedAsync(PutWork work)
    {
        if (IsBehind(work.Route.Epoch)) await CatchUpAsync(work.Route.Epoch);
        work.AdmittedEpoch = MapEpoch;
    }

    /// <summary>Says whether a block may be stored here; one that may not is noted.</summary>
    private bool IsAdmitted(PutWork work, int index)
    {
        ref PutEntry entry = ref work.Entries[index];
        NamespaceDescriptor ns = engine.Namespaces[entry.Namespace];
        Admission admission = work.Route.IsPush
            ? cluster!.Node.AdmitPush((PushRole)work.Route.Role, work.Route.Epoch, ns, entry.Group)
            : cluster!.Node.Admit(ns, entry.Group, ns.IsMutable ? AccessKind.Change : AccessKind.Put);
        switch (admission)
        {
            case Admission.Serve:
                return true;
            case Admission.Moved:
                work.Statuses[index] = PutItemStatus.Moved;
                return false;
            default:
                work.Refuse(index, Fenced(index));
                return false;
        }
    }

    private KvError Fenced(int index) => new(ErrorCode.Fenced, $"items[{index}]", context.Options.Name,
        "a silo that can show that it still is the owner; ask again when it can reach its cluster");

    /// <summary>
    /// Blocks that were stored while the map changed may have come to a silo that is not to have them any more; values that change are
    /// only changed when the silo still may after it has.
    /// </summary>
    private void RecheckAdmitted(PutWork work)
    {
        if (work.Count == 0) return;
        NoteStored(work);
        if (work.Route.IsPush) return;
        if (work.AdmittedEpoch == MapEpoch && !engine.Namespaces[work.Entries[0].Namespace].IsMutable) return;
        for (int i = 0; i < work.Count; i++)
        {
            if (work.Statuses[i] is PutItemStatus.Stored or PutItemStatus.Present) IsAdmitted(work, i);
        }
    }

    private void NoteStored(PutWork work)
    {
        PushRole? role = work.Route.IsPush ? (PushRole)work.Route.Role : null;
        if (work.AdmittedEpoch == MapEpoch && role != PushRole.HandOver) return;
        for (int i = 0; i < work.Count; i++)
        {
            ref readonly PutEntry entry = ref work.Entries[i];
            if (work.Statuses[i] != PutItemStatus.Stored) continue;
            cluster!.Node.NoteStored(entry.Namespace, entry.Group, work.AdmittedEpoch, role);
        }
    }

    /// <summary>Has the blocks copied that this request has stored; nobody waits for it.</summary>
    private void QueueReplication(PutWork work)
    {
        if (!work.HasAny || work.Route.IsPush) return;
        foreach (ushort ns in NamespacesOf(work))
        {
            if (!IsReplicated(ns)) continue;
            (BlockId[] ids, BlockId[] groups) = BlocksOf(work, ns, withPresent: false);
            if (ids.Length > 0)
                _ = cluster!.Node.ReplicateAsync(ns, ids, groups, AckLevel.Memory, TimeSpan.Zero).AsTask();
        }
    }

    /// <summary>Copies the blocks that are here to the other holders.</summary>
    /// <returns>Null when all have them.</returns>
    private async ValueTask<KvError?> ReplicateAsync(PutWork work, TimeSpan deadline)
    {
        if (work.Route.IsPush) return null;
        long start = context.Time.GetTimestamp();
        KvError? first = null;
        foreach (ushort ns in NamespacesOf(work))
        {
            (BlockId[] ids, BlockId[] groups) = BlocksOf(work, ns, withPresent: true);
            TimeSpan left = deadline - context.Time.GetElapsedTime(start);
            KvError? error = await cluster!.Node.ReplicateAsync(
                ns, ids, groups, AckLevel.Replica, left > TimeSpan.Zero ? left : TimeSpan.Zero);
            first ??= error;
        }

        return first;
    }

    private bool IsReplicated(ushort ns) => cluster!.Map.Settings.ReplicasOf(engine.Namespaces[ns]) > 1;

    // All blocks of a put are in one namespace; those of a commit are in the namespaces of their reservations.
    private static ushort[] NamespacesOf(PutWork work)
    {
        ushort first = work.Entries[0].Namespace;
        foreach (ref readonly PutEntry entry in work.Entries)
        {
            if (entry.Namespace == first) continue;
            var all = new SortedSet<ushort>();
            foreach (ref readonly PutEntry each in work.Entries) all.Add(each.Namespace);
            return [.. all];
        }

        return [first];
    }

    private static (BlockId[] Ids, BlockId[] Groups) BlocksOf(PutWork work, ushort ns, bool withPresent)
    {
        var ids = new List<BlockId>(work.Count);
        var groups = new List<BlockId>(work.Count);
        for (int i = 0; i < work.Count; i++)
        {
            PutItemStatus status = work.Statuses[i];
            if (work.Entries[i].Namespace != ns || !(status == PutItemStatus.Stored || (withPresent && status == PutItemStatus.Present)))
                continue;
            ids.Add(work.Entries[i].Id);
            groups.Add(work.Entries[i].Group);
        }

        return ([.. ids], [.. groups]);
    }
}
