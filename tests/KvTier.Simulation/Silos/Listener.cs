using KvTier.Cluster;
using KvTier.Engine;

namespace KvTier.Simulation;

/// <summary>
/// What a silo's listener does with requests of clients: catch up, ask the node, use the engine, replicate. The order of the steps is that
/// of <c>NativeConnection</c>.
/// </summary>
internal sealed class Listener(BlockEngine engine, ClusterNode node, TimeProvider time, SimPoints points, Plant plant)
{
    /// <summary>Stores blocks.</summary>
    internal async ValueTask<Result<SimPutReply>> PutAsync(SimPut put)
    {
        long start = time.GetTimestamp();
        if (!engine.OpenNamespace(put.Namespace).TryGet(out ushort ns, out KvError? error)) return error;
        await node.CatchUpAsync(put.Epoch);
        long admitted = node.Map.Epoch;
        var work = new PutWork(put, node);
        for (int i = 0; i < put.Blocks.Count; i++)
        {
            if (!work.IsAdmitted(i)) continue;
            await StoreAsync(ns, work, i, put.Deadline - time.GetElapsedTime(start));
            node.NoteStored(ns, put.Blocks[i].Group, admitted, role: null);
        }

        // Blocks that were stored while the map changed may have come to a silo that is not to have them any more.
        if (admitted != node.Map.Epoch) work.AdmitAgain();
        TimeSpan left = put.Deadline - time.GetElapsedTime(start);
        if (put.Ack == AckLevel.Replica)
        {
            (BlockId[] ids, BlockId[] groups) = work.Blocks(withPresent: true);
            KvError? lacking = ids.Length > 0 ? await node.ReplicateAsync(ns, ids, groups, put.Ack, left) : null;
            work.Error ??= lacking;
        }
        else
        {
            (BlockId[] ids, BlockId[] groups) = work.Blocks(withPresent: false);
            if (ids.Length > 0 && node.Map.Settings.ReplicasOf(put.Namespace) > 1)
                _ = node.ReplicateAsync(ns, ids, groups, AckLevel.Memory, TimeSpan.Zero).AsTask();
            if (put.Ack == AckLevel.Ssd && work.HasAny && plant != Plant.AckBeforeCommit)
            {
                KvError? late = await engine.WaitDurableAsync(engine.CurrentTicket, left);
                work.Error ??= late;
            }
        }

        if (put.Ack != AckLevel.Memory && work.Statuses.Contains(PutStatus.Stored)) await points.PassAsync(SimPoint.Answered);
        return work.Reply(node.Map.Epoch);
    }

    /// <summary>Reads blocks.</summary>
    internal async ValueTask<Result<SimGetReply>> GetAsync(SimGet get)
    {
        long start = time.GetTimestamp();
        if (!engine.OpenNamespace(get.Namespace).TryGet(out ushort ns, out KvError? error)) return error;
        if (!get.HereOnly) await node.CatchUpAsync(get.Epoch);
        var found = new SimFound[get.Ids.Count];
        for (int i = 0; i < found.Length; i++)
        {
            found[i] = await ReadAsync(ns, get.Ids[i], get.Groups[i], get.HereOnly, get.Deadline - time.GetElapsedTime(start));
        }

        return new SimGetReply(node.Map.Epoch, found);
    }

    /// <summary>Counts blocks from the first on.</summary>
    internal async ValueTask<Result<SimPrefixReply>> PrefixAsync(SimGet get)
    {
        if (!engine.OpenNamespace(get.Namespace).TryGet(out ushort ns, out KvError? error)) return error;
        await node.CatchUpAsync(get.Epoch);
        int count = engine.Prefix(ns, get.Ids.ToArray(), default, touch: true);
        bool moved = count < get.Ids.Count && node.Admit(get.Namespace, get.Groups[count], AccessKind.Read) != Admission.Serve;
        return new SimPrefixReply(node.Map.Epoch, count, moved);
    }

    /// <summary>Deletes blocks.</summary>
    internal async ValueTask<Result<SimChangeReply>> DeleteAsync(long epoch, IReadOnlyList<SimBlock> blocks)
    {
        if (!engine.OpenNamespace(Workload.Blocks).TryGet(out ushort ns, out KvError? error)) return error;
        await node.CatchUpAsync(epoch);
        var statuses = new SimStatus[blocks.Count];
        for (int i = 0; i < statuses.Length; i++)
        {
            if (node.Admit(Workload.Blocks, blocks[i].Group, AccessKind.Put) == Admission.Serve) engine.Delete(ns, blocks[i].Id);
            else statuses[i] = SimStatus.Moved;
        }

        return new SimChangeReply(node.Map.Epoch, statuses, null);
    }

    /// <summary>Sets or deletes a value, as the owner of its group.</summary>
    internal async ValueTask<Result<SimChangeReply>> ChangeAsync(SimBlock block, bool delete, long epoch, TimeSpan deadline)
    {
        if (!engine.OpenNamespace(Workload.Mutable).TryGet(out ushort ns, out KvError? error)) return error;
        await node.CatchUpAsync(epoch);
        switch (node.Admit(Workload.Mutable, block.Group, AccessKind.Change))
        {
            case Admission.Moved:
                return new SimChangeReply(node.Map.Epoch, [SimStatus.Moved], null);
            case Admission.Fenced:
                return new SimChangeReply(node.Map.Epoch, [SimStatus.Refused], new KvError(ErrorCode.Fenced, "silo"));
        }

        await points.PassAsync(SimPoint.Admitted);
        if (await node.PrepareAsync(ns, block.Id, ValueAccess.Replace, deadline) is { } notReady)
            return new SimChangeReply(node.Map.Epoch, [SimStatus.Refused], notReady);
        if (delete) engine.Delete(ns, block.Id);
        else if (await StoreAsync(ns, block, overwrite: true, deadline) is ({ } refused, _))
            return new SimChangeReply(node.Map.Epoch, [SimStatus.Refused], refused);

        // Between the question and the change the silo may have been stopped for long: its success is told only by who still is the owner.
        return plant == Plant.NoSecondLook || node.Admit(Workload.Mutable, block.Group, AccessKind.Change) == Admission.Serve
            ? new SimChangeReply(node.Map.Epoch, [SimStatus.Done], null)
            : new KvError(ErrorCode.Unavailable, "silo", "the group went while it was changed");
    }

    /// <summary>Reads a value, as the owner of its group.</summary>
    internal async ValueTask<Result<SimFound>> GetValueAsync(BlockId id, long epoch, TimeSpan deadline)
    {
        if (!engine.OpenNamespace(Workload.Mutable).TryGet(out ushort ns, out KvError? error)) return error;
        await node.CatchUpAsync(epoch);
        switch (node.Admit(Workload.Mutable, id, AccessKind.Read))
        {
            case Admission.Moved:
                return new SimFound(MissReason.Moved, null);
            case Admission.Fenced:
                return new KvError(ErrorCode.Fenced, "silo");
        }

        if (await node.PrepareAsync(ns, id, ValueAccess.Read, deadline) is { } notReady) return notReady;
        return Take(await engine.LeaseAsync(ns, id, deadline));
    }

    // Bytes of a block that never changes are right wherever they are: who has them serves them.
    private async ValueTask<SimFound> ReadAsync(ushort ns, BlockId id, BlockId group, bool hereOnly, TimeSpan deadline)
    {
        // Asked first: a block that is handed over in between is then looked for once more, and not missed.
        bool mayBeElsewhere = node.MayBeElsewhere(group);
        LeaseResult result = await engine.LeaseAsync(ns, id, deadline);
        if (result.Reason is MissReason.None or MissReason.Deadline || hereOnly) return Take(result);
        if (node.Admit(Workload.Blocks, group, AccessKind.Read) != Admission.Serve) return new SimFound(MissReason.Moved, null);
        bool isWorthAsking = result.Reason is MissReason.NeverStored or MissReason.Evicted or MissReason.Corrupt or MissReason.Moved;
        if (isWorthAsking && plant != Plant.NoReadThrough && mayBeElsewhere)
        {
            BlockId[] wanted = [id];
            BlockId[] its = [group];
            if (await node.ReadThroughAsync(ns, wanted, its, deadline) > 0) return Take(await engine.LeaseAsync(ns, id, deadline));
        }

        return new SimFound(node.ReasonOf(group, result.Reason), null);
    }

    private SimFound Take(in LeaseResult result)
    {
        if (result.Reason != MissReason.None) return new SimFound(result.Reason, null);
        byte[] payload = engine.Arena.Slice(result.Lease.Offset, result.Lease.Length).ToArray();
        engine.Release(result.Lease);
        return new SimFound(MissReason.None, payload);
    }

    private async ValueTask StoreAsync(ushort ns, PutWork work, int index, TimeSpan deadline)
    {
        (KvError? error, bool stored) = await StoreAsync(ns, work.Put.Blocks[index], overwrite: false, deadline);
        if (error is null) work.Statuses[index] = stored ? PutStatus.Stored : PutStatus.Present;
        else work.Refuse(index, error);
    }

    private async ValueTask<(KvError? Error, bool Stored)> StoreAsync(ushort ns, SimBlock block, bool overwrite, TimeSpan deadline)
    {
        long start = time.GetTimestamp();
        while (true)
        {
            bool begun = TryBegin(ns, block, overwrite, out PutBegin begin, out Reservation reservation);
            if (begun && begin == PutBegin.Present) return (null, false);
            if (begun && begin == PutBegin.ShuttingDown) return (new KvError(ErrorCode.ShuttingDown, "silo"), false);
            if (begun && begin == PutBegin.Reserved)
            {
                block.Payload.CopyTo(engine.Arena.Slice(reservation.Offset, block.Payload.Length));
                return engine.Seal(reservation, Crc32C.Compute(block.Payload), out _) switch
                {
                    SealStatus.Stored => (null, true),
                    SealStatus.Present => (null, false),
                    _ => (new KvError(ErrorCode.LeaseExpired, "reservation"), false),
                };
            }

            TimeSpan left = deadline - time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero || !await engine.WaitForRoomAsync(block.Payload.Length, left))
                return (new KvError(ErrorCode.HostFull, "length"), false);
        }
    }

    private bool TryBegin(ushort ns, SimBlock block, bool overwrite, out PutBegin begin, out Reservation reservation)
    {
        var request = new PutRequest
        {
            Namespace = ns,
            Id = block.Id,
            Key = block.Key,
            Length = block.Payload.Length,
            Overwrite = overwrite,
            Group = block.Group,
        };
        return engine.TryBeginPut(request, out begin, out reservation);
    }
}
