namespace KvTier.Cluster;

/// <summary>Answers what other silos ask about moves: room for a group, and moves of what this silo owns.</summary>
internal sealed class Reserving(NodeContext node, Reservations reservations, Migrator migrator, HandOverLoop handOver)
{
    /// <summary>Answers a call.</summary>
    public async ValueTask<Result<PeerMessage>> AnswerAsync(string from, PeerMessage request, TimeSpan deadline)
    {
        KvError? error = request.Op == BlockOps.Move
            ? await MoveAsync(request, deadline)
            : Reserve(from, request);
        if (error is not null) return error;
        return new PeerMessage(request.Op, node.Map.Epoch, ReadOnlyMemory<byte>.Empty);
    }

    private async ValueTask<KvError?> MoveAsync(PeerMessage request, TimeSpan deadline)
    {
        if (!MoveRequest.Read(request.Body.Span).TryGet(out MoveRequest? move, out KvError? error)) return error;
        TimeSpan asked = TimeSpan.FromMilliseconds(move.DeadlineMs);
        return await migrator.MoveAsync(move.Group, move.Silo, asked < deadline ? asked : deadline, mayAsk: false);
    }

    private KvError? Reserve(string from, PeerMessage request)
    {
        if (!ReserveRequest.Read(request.Body.Span).TryGet(out ReserveRequest? asked, out KvError? unreadable)) return unreadable;
        if (request.Op == BlockOps.Release)
        {
            reservations.Release(asked.Group);
            node.Moves.Tell(MoveStage.RoomFreed, asked.Group, from);
            handOver.Owe(asked.Group);
            return null;
        }

        ClusterMap map = node.Map;
        int self = map.IndexOf(node.Self);
        if (self < 0 || map.Silos[self].Draining) return new KvError(ErrorCode.ShuttingDown, "silo", node.Self, "one that does not drain");
        long used = node.Membership.LoadOf?.Invoke().UsedBytes ?? 0;
        long free = (long)(map.Silos[self].CapacityBytes * node.Options.HighWatermark) - used;
        KvError? error = reservations.TryReserve(asked.Group, from, asked.Bytes, free);
        if (error is null) node.Moves.Tell(MoveStage.RoomKept, asked.Group, from);
        return error;
    }
}
