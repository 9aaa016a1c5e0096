using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>What the cluster has to say about requests for blocks. Outside of a cluster nothing of this is asked.</content>
internal sealed partial class NativeConnection
{
    /// <summary>Epoch of the silo's map; 0 outside of a cluster.</summary>
    private long MapEpoch => cluster?.Map.Epoch ?? 0;

    /// <summary>True when whoever asks knows a newer map.</summary>
    private bool IsBehind(long epoch) => cluster is not null && epoch > cluster.Map.Epoch;

    private ValueTask CatchUpAsync(long epoch) => cluster!.Node.CatchUpAsync(epoch);

    private static RequestRoute RouteOf(scoped in RouteView route) => new(route.Epoch, route.Role);

    /// <summary>Says whether this silo does something for a client.</summary>
    private Admission Admit(ushort ns, BlockId group, AccessKind kind) => cluster!.Node.Admit(opened[ns]!, group, kind);

    /// <summary>
    /// Leases a block that is here. Bytes of a block that never changes are right wherever they are; others only the owner serves.
    /// </summary>
    private MissReason TryLeaseRouted(GetWork work, int index, out BlockLease lease)
    {
        BlockId group = work.Groups[index];
        lease = default;
        if (opened[work.Namespace]!.IsMutable && work.Route.Role != RouteRole.PeerRead
            && Admit(work.Namespace, group, AccessKind.Read) != Admission.Serve)
            return MissReason.Moved;

        // Asked first: a block that is handed over in between is then looked for once more, and not missed.
        bool mayBeElsewhere = cluster!.Node.MayBeElsewhere(group);
        MissReason reason = engine.TryLease(work.Namespace, work.Ids[index], out lease);
        if (reason is MissReason.None or MissReason.Deadline || work.Route.IsPlain) return reason;
        if (Admit(work.Namespace, group, AccessKind.Read) != Admission.Serve) return MissReason.Moved;
        if (mayBeElsewhere && IsWorthAsking(reason)) work.Elsewhere.Add(index);
        return cluster.Node.ReasonOf(group, reason);
    }

    /// <summary>False for what a client has deleted and what has expired: nobody else is to bring it back.</summary>
    private static bool IsWorthAsking(MissReason reason) =>
        reason is MissReason.NeverStored or MissReason.Evicted or MissReason.Corrupt or MissReason.Moved;

    /// <summary>Fetches what silos have that held the groups before.</summary>
    private async ValueTask ReadThroughAsync(GetWork work)
    {
        var ids = new BlockId[work.Elsewhere.Count];
        var groups = new BlockId[ids.Length];
        for (int i = 0; i < ids.Length; i++) (ids[i], groups[i]) = (work.Ids[work.Elsewhere[i]], work.Groups[work.Elsewhere[i]]);
        long start = context.Time.GetTimestamp();
        await cluster!.Node.ReadThroughAsync(work.Namespace, ids, groups, TimeLeft(work.DeadlineMs, work.ReceivedAt));
        TimeSpan elapsed = context.Time.GetElapsedTime(start);
        long bytes = 0;

        // Whatever came: it may have been handed over by itself meanwhile.
        foreach (int index in work.Elsewhere)
        {
            MissReason reason = engine.TryLease(work.Namespace, work.Ids[index], out BlockLease lease);
            if (reason is not (MissReason.None or MissReason.Deadline)) continue;
            work.Results[index] = new LeaseResult(reason, lease);
            bytes += lease.Length;
            if (reason == MissReason.Deadline) work.Waiting++;
        }

        context.Desk.Bandwidth.Add(Engines.LoadPath.Peer, bytes, elapsed);
    }

    /// <summary>Notes the groups that a client reads, so that hot ones get one more copy.</summary>
    private void NoteReads(GetWork work)
    {
        if (work.Route.Role != RouteRole.Client || opened[work.Namespace]!.IsMutable) return;
        for (int i = 0; i < work.Count; i++)
        {
            if (!work.IsHit(i) || (i > 0 && work.Groups[i] == work.Groups[i - 1])) continue;
            cluster!.Node.NoteRead(work.Namespace, work.Groups[i]);
        }
    }

    /// <summary>Silos that have all of the request's groups; a client may ask any of them when this one is slow.</summary>
    private int CopiesOf(GetWork work)
    {
        if (cluster is null) return 1;
        NamespaceDescriptor ns = opened[work.Namespace]!;
        int copies = int.MaxValue;
        for (int i = 0; i < work.Count; i++)
        {
            if (i > 0 && work.Groups[i] == work.Groups[i - 1]) continue;
            copies = Math.Min(copies, cluster.Node.CopiesOf(ns, work.Groups[i]));
        }

        return copies == int.MaxValue ? 1 : copies;
    }
}
