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
        var statuses = new SimStatus[put.Blocks.Count];
        var ids = new List<BlockId>();
        var groups = new List<BlockId>();
        KvError? first = null;
        for (int i = 0; i < statuses.Length; i++)
        {
            SimBlock block = put.Blocks[i];
            KvError? refused = null;
            switch (node.Admit(put.Namespace, block.Group, AccessKind.Put))
            {
                case Admission.Moved:
                    statuses[i] = SimStatus.Moved;
                    continue;
                case Admission.Fenced:
                    refused = new KvError(ErrorCode.Fenced, "silo");
                    break;
                default:
                    refused = await StoreAsync(ns, block, overwrite: false, put.Deadline - time.GetElapsedTime(start));
                    break;
            }

            statuses[i] = refused is null ? SimStatus.Done : SimStatus.Refused;
            first ??= refused;
            if (refused is not null) continue;
            ids.Add(block.Id);
            groups.Add(block.Group);
        }

        if (ids.Count == 0) return new SimPutReply(node.Map.Epoch, statuses, first);
        if (put.Ack == AckLevel.Ssd && plant != Plant.AckBeforeCommit)
        {
            KvError? late = await engine.WaitDurableAsync(engine.CurrentTicket, put.Deadline - time.GetElapsedTime(start));
            first ??= late;
        }

        KvError? notReplicated = await node.ReplicateAsync(
            ns, ids.ToArray(), groups.ToArray(), put.Ack, put.Deadline - time.GetElapsedTime(start));
        await points.PassAsync(SimPoint.Answered);
        return new SimPutReply(node.Map.Epoch, statuses, first ?? notReplicated);
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
            Admission admission = get.HereOnly ? Admission.Serve : node.Admit(get.Namespace, get.Groups[i], AccessKind.Read);
            if (admission == Admission.Fenced) return new KvError(ErrorCode.Fenced, "silo");
            found[i] = admission == Admission.Moved
                ? new SimFound(MissReason.Moved, null)
                : await ReadAsync(ns, get.Ids[i], get.Groups[i], get.HereOnly, get.Deadline - time.GetElapsedTime(start));
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
        if (delete) engine.Delete(ns, block.Id);
        else if (await StoreAsync(ns, block, overwrite: true, deadline) is { } refused)
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
        return node.Admit(Workload.Mutable, id, AccessKind.Read) switch
        {
            Admission.Moved => new SimFound(MissReason.Moved, null),
            Admission.Fenced => new KvError(ErrorCode.Fenced, "silo"),
            _ => await ReadAsync(ns, id, id, hereOnly: false, deadline),
        };
    }

    private async ValueTask<SimFound> ReadAsync(ushort ns, BlockId id, BlockId group, bool hereOnly, TimeSpan deadline)
    {
        LeaseResult result = await engine.LeaseAsync(ns, id, deadline);
        if (result.Reason != MissReason.None && !hereOnly && plant != Plant.NoReadThrough && node.MayBeElsewhere(group))
        {
            BlockId[] wanted = [id];
            BlockId[] its = [group];
            await node.ReadThroughAsync(ns, wanted, its, deadline);
            result = await engine.LeaseAsync(ns, id, deadline);
        }

        if (result.Reason != MissReason.None) return new SimFound(node.ReasonOf(group, result.Reason), null);
        byte[] payload = engine.Arena.Slice(result.Lease.Offset, result.Lease.Length).ToArray();
        engine.Release(result.Lease);
        return new SimFound(MissReason.None, payload);
    }

    private async ValueTask<KvError?> StoreAsync(ushort ns, SimBlock block, bool overwrite, TimeSpan deadline)
    {
        long start = time.GetTimestamp();
        while (true)
        {
            bool begun = TryBegin(ns, block, overwrite, out PutBegin begin, out Reservation reservation);
            if (begun && begin == PutBegin.Present) return null;
            if (begun && begin == PutBegin.ShuttingDown) return new KvError(ErrorCode.ShuttingDown, "silo");
            if (begun && begin == PutBegin.Reserved)
            {
                block.Payload.CopyTo(engine.Arena.Slice(reservation.Offset, block.Payload.Length));
                return engine.Seal(reservation, Crc32C.Compute(block.Payload), out _) == SealStatus.Unknown
                    ? new KvError(ErrorCode.LeaseExpired, "reservation")
                    : null;
            }

            TimeSpan left = deadline - time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero || !await engine.WaitForRoomAsync(block.Payload.Length, left))
                return new KvError(ErrorCode.HostFull, "length");
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
