namespace KvTier.Cluster;

/// <summary>An answer with the epoch of whoever gave it.</summary>
internal readonly record struct Answered<T>(T Value, long Epoch);

/// <summary>Calls of other silos, typed; what they show to know of the map is noted.</summary>
internal sealed class PeerCalls(NodeContext node)
{
    /// <summary>Asks which blocks a silo has.</summary>
    public ValueTask<Result<Answered<bool[]>>> HaveAsync(
        SiloEntry to, ClusterMap map, NamespaceId ns, BlockId[] ids, TimeSpan deadline, ushort op = BlockOps.Have) =>
        AskAsync(to, map, op, new IdsQuery(ns, ids), deadline);

    /// <summary>Offers mutable values to their owner, which may not know their namespace yet.</summary>
    public ValueTask<Result<Answered<bool[]>>> OfferAsync(
        SiloEntry to, ClusterMap map, NamespaceDescriptor ns, BlockId[] ids, TimeSpan deadline) =>
        AskAsync(to, map, BlockOps.Offer, new IdsQuery(ns.Id, ids) { Descriptor = ns }, deadline);

    /// <summary>Fetches blocks of a silo; those that would not fit into one answer are left out.</summary>
    public async ValueTask<Result<Answered<List<StoredBlock>>>> FetchAsync(
        SiloEntry to, ClusterMap map, NamespaceId ns, BlockId[] ids, TimeSpan deadline)
    {
        Result<PeerMessage> answer = await CallAsync(to, map, BlockOps.Fetch, new IdsQuery(ns, ids).Write(), deadline);
        if (!answer.TryGet(out PeerMessage? message, out KvError? error)) return error;
        Result<List<StoredBlock>> blocks = FetchAnswer.Read(message, ns, ids);
        return blocks.IsOk ? new Answered<List<StoredBlock>>(blocks.Value, message.Epoch) : blocks.Error!;
    }

    private async ValueTask<Result<Answered<bool[]>>> AskAsync(
        SiloEntry to, ClusterMap map, ushort op, IdsQuery query, TimeSpan deadline)
    {
        Result<PeerMessage> answer = await CallAsync(to, map, op, query.Write(), deadline);
        if (!answer.TryGet(out PeerMessage? message, out KvError? error)) return error;
        Result<IdsAnswer> bits = IdsAnswer.Read(message.Body.Span, query.Ids.Length);
        return bits.IsOk ? new Answered<bool[]>(bits.Value.Bits, message.Epoch) : bits.Error!;
    }

    /// <summary>Calls a silo.</summary>
    public async ValueTask<Result<PeerMessage>> CallAsync(SiloEntry to, ClusterMap map, ushort op, byte[] body, TimeSpan deadline)
    {
        if (deadline <= TimeSpan.Zero) return new KvError(ErrorCode.DeadlineExceeded, "peer", to.Name);
        Result<PeerMessage> answer = await node.Peers.CallAsync(to, new PeerMessage(op, map.Epoch, body), deadline);
        if (answer.IsOk) node.Heard(to.Name, answer.Value.Epoch);
        return answer;
    }

    /// <summary>Puts blocks on a silo.</summary>
    public async ValueTask<Result<PushReply>> PushAsync(SiloEntry to, PushBatch batch, TimeSpan deadline)
    {
        if (deadline <= TimeSpan.Zero) return new KvError(ErrorCode.DeadlineExceeded, "peer", to.Name);
        NodeCounters counters = node.Counters;
        NodeCounters.Add(ref counters.Pushes);
        Result<PushReply> reply = await node.Peers.PushAsync(to, batch, deadline);
        if (!reply.TryGet(out PushReply? done, out _))
        {
            NodeCounters.Add(ref counters.PushFailures);
            return reply;
        }

        node.Heard(to.Name, done.Epoch);
        if (done.Statuses.Count != batch.Blocks.Count)
            return KvError.InvalidArgument("push.statuses", done.Statuses.Count, $"{batch.Blocks.Count}");
        for (int i = 0; i < batch.Blocks.Count; i++)
        {
            if (done.Statuses[i] != PushStatus.Stored) continue;
            NodeCounters.Add(ref counters.PushedBlocks);
            NodeCounters.Add(ref counters.PushedBytes, batch.Blocks[i].Payload.Length);
        }

        return reply;
    }
}
