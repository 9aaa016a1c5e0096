namespace KvTier.Cluster;

/// <summary>Answers what other silos ask about blocks.</summary>
internal sealed class BlockCalls(NodeContext node, MutableState state, MutableValues values, HotHeld hot, Reserving reserving)
{
    /// <summary>Answers a call.</summary>
    public async ValueTask<Result<PeerMessage>> AnswerAsync(string from, PeerMessage request, TimeSpan deadline)
    {
        node.Heard(from, request.Epoch);
        if (!await node.CatchUpAsync(request.Epoch, deadline))
            return new KvError(ErrorCode.Unavailable, "epoch", $"{node.Map.Epoch}", $"{request.Epoch}");
        if (request.Op is BlockOps.Reserve or BlockOps.Release or BlockOps.Move)
            return await reserving.AnswerAsync(from, request, deadline);
        Result<IdsQuery> read = IdsQuery.Read(request.Body.Span);
        if (!read.TryGet(out IdsQuery? query, out KvError? error)) return error;
        return request.Op switch
        {
            BlockOps.Have => Have(query),
            BlockOps.Keep => await KeepAsync(query, deadline),
            BlockOps.Fetch => await FetchAsync(query, deadline),
            BlockOps.Delete => Delete(query),
            BlockOps.Hot => Answer(BlockOps.Hot, hot.Take(query.Ids)),
            BlockOps.Values => Values(request.Epoch, query),
            BlockOps.Offer => await OfferAsync(from, request.Epoch, query, deadline),
            _ => new KvError(ErrorCode.Unsupported, "peer.op", $"{request.Op}", "an operation of this version"),
        };
    }

    /// <summary>Under the gate of drops: what is said to be here is not dropped under an older map afterwards.</summary>
    private PeerMessage Have(IdsQuery query)
    {
        bool[] here = new bool[query.Ids.Length];
        int handle = node.HandleOf(query.Namespace);
        lock (node.DropGate)
        {
            for (int i = 0; i < here.Length; i++) here[i] = handle >= 0 && node.Store.Has((ushort)handle, query.Ids[i]);
            return Answer(BlockOps.Have, here);
        }
    }

    /// <summary>As <see cref="Have"/>, of what a crash of this silo does not lose where it has a log: who asks drops its own.</summary>
    private async ValueTask<Result<PeerMessage>> KeepAsync(IdsQuery query, TimeSpan deadline)
    {
        if (!await node.Store.SyncAsync(deadline)) return new KvError(ErrorCode.Unavailable, "log", node.Self, "a commit in time");
        return Have(query);
    }

    private PeerMessage Delete(IdsQuery query)
    {
        bool[] here = new bool[query.Ids.Length];
        int handle = node.HandleOf(query.Namespace);
        for (int i = 0; i < here.Length && handle >= 0; i++)
        {
            here[i] = node.Store.Has((ushort)handle, query.Ids[i]);
            if (here[i]) node.Store.Drop((ushort)handle, query.Ids[i], MissReason.Deleted);
        }

        return Answer(BlockOps.Delete, here);
    }

    private PeerMessage Answer(ushort op, bool[] bits) => new(op, node.Map.Epoch, new IdsAnswer(bits).Write());

    private Result<PeerMessage> Values(long epoch, IdsQuery query)
    {
        int handle = node.HandleOf(query.Namespace);
        var answer = new ValueKnown[query.Ids.Length];
        lock (node.DropGate)
        {
            if (state.SeenEpoch < epoch) return NotSeen(epoch);
            for (int i = 0; i < answer.Length; i++) answer[i] = handle < 0 ? default : state.Answer((ushort)handle, query.Ids[i]);
            return new PeerMessage(BlockOps.Values, node.Map.Epoch, new ValuesAnswer(answer).Write());
        }
    }

    private async ValueTask<Result<PeerMessage>> OfferAsync(string from, long epoch, IdsQuery query, TimeSpan deadline)
    {
        if (state.SeenEpoch < epoch) return NotSeen(epoch);
        if (query.Descriptor is not { IsMutable: true }) return KvError.InvalidArgument("peer.namespace", query.Namespace, "a mutable one");
        if (!node.Store.OpenNamespace(query.Descriptor).TryGet(out ushort handle, out KvError? error)) return error;
        bool[] taken = await values.TakeAsync(from, handle, query.Ids, deadline);
        if (!await node.Store.SyncAsync(deadline)) return new KvError(ErrorCode.Unavailable, "log", node.Self, "a commit in time");
        return Answer(BlockOps.Offer, taken);
    }

    private KvError NotSeen(long epoch) => new(ErrorCode.Unavailable, "epoch", $"{state.SeenEpoch}", $"{epoch}");

    private async ValueTask<Result<PeerMessage>> FetchAsync(IdsQuery query, TimeSpan deadline)
    {
        int handle = node.HandleOf(query.Namespace);
        IReadOnlyList<StoredBlock> none = [];
        if (handle < 0)
        {
            (byte[] empty, byte[] nothing) = FetchAnswer.Write(query.Ids, none);
            return new PeerMessage(BlockOps.Fetch, node.Map.Epoch, empty, nothing);
        }

        for (int start = 0; ;)
        {
            ReadOnlyMemory<BlockId> asked = query.Ids.AsMemory(start);
            using StoredBlocks blocks = await node.Store.ReadAsync((ushort)handle, asked, deadline);
            start += blocks.Examined(asked.Length);
            if (blocks.Blocks.Count == 0 && start < query.Ids.Length) continue;
            (byte[] body, byte[] payload) = FetchAnswer.Write(query.Ids, blocks.Blocks);
            return new PeerMessage(BlockOps.Fetch, node.Map.Epoch, body, payload);
        }
    }
}
