namespace KvTier.Cluster;

/// <summary>Answers what other silos ask about blocks.</summary>
internal sealed class BlockCalls(NodeContext node)
{
    /// <summary>Answers a call.</summary>
    public async ValueTask<Result<PeerMessage>> AnswerAsync(string from, PeerMessage request, TimeSpan deadline)
    {
        node.Heard(from, request.Epoch);
        if (!await node.CatchUpAsync(request.Epoch, deadline))
            return new KvError(ErrorCode.Unavailable, "epoch", $"{node.Map.Epoch}", $"{request.Epoch}");
        Result<IdsQuery> read = IdsQuery.Read(request.Body.Span);
        if (!read.TryGet(out IdsQuery? query, out KvError? error)) return error;
        return request.Op switch
        {
            BlockOps.Have => Have(query),
            BlockOps.Fetch => await FetchAsync(query, deadline),
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
            return new PeerMessage(BlockOps.Have, node.Map.Epoch, new IdsAnswer(here).Write());
        }
    }

    private async ValueTask<Result<PeerMessage>> FetchAsync(IdsQuery query, TimeSpan deadline)
    {
        int handle = node.HandleOf(query.Namespace);
        IReadOnlyList<StoredBlock> none = [];
        if (handle < 0)
        {
            (byte[] empty, byte[] nothing) = FetchAnswer.Write(query.Ids, none);
            return new PeerMessage(BlockOps.Fetch, node.Map.Epoch, empty, nothing);
        }

        using StoredBlocks blocks = await node.Store.ReadAsync((ushort)handle, query.Ids, deadline);
        (byte[] body, byte[] payload) = FetchAnswer.Write(query.Ids, blocks.Blocks);
        return new PeerMessage(BlockOps.Fetch, node.Map.Epoch, body, payload);
    }
}
