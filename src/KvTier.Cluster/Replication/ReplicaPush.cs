namespace KvTier.Cluster;

/// <summary>What came of an attempt to give blocks to all that are to hold them.</summary>
internal enum ReplicaOutcome
{
    /// <summary>All of them have all blocks.</summary>
    Done,

    /// <summary>Another attempt may succeed, perhaps under a newer map.</summary>
    Again,

    /// <summary>None will.</summary>
    Failed,
}

/// <summary>One attempt to give just sealed blocks to all that are to hold them by one map.</summary>
/// <param name="node">What parts of a node share.</param>
/// <param name="calls">Calls of other silos.</param>
/// <param name="map">The map.</param>
/// <param name="handle">Handle of the namespace.</param>
/// <param name="descriptor">The namespace.</param>
internal sealed class ReplicaPush(NodeContext node, PeerCalls calls, ClusterMap map, ushort handle, NamespaceDescriptor descriptor)
{
    private readonly int self = map.IndexOf(node.Self);
    private readonly Lock gate = new();
    private KvError? error;
    private bool failed;
    private bool again;

    /// <summary>Why it did not come to its end.</summary>
    public KvError? Error => error;

    /// <summary>True when a holder refused a block, for want of room or as its bytes failed their check.</summary>
    public bool IsRefused { get; private set; }

    /// <summary>Copies of a group, given those that are asked for; more while it is hot.</summary>
    public Func<int, BlockId, int> MoreCopies { get; init; } = (copies, _) => copies;

    /// <summary>The newest epoch that a holder has shown to know.</summary>
    public long NewestEpoch { get; private set; }

    /// <summary>Gives blocks to those that are to hold them.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="groups">Their groups.</param>
    /// <param name="copies">Copies of each, this silo's included where it is to hold it.</param>
    /// <param name="ask">True to ask first who has what, as some may have it from an attempt before.</param>
    /// <param name="deadline">Time for it.</param>
    public async ValueTask<ReplicaOutcome> RunAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, int copies, bool ask, NodeDeadline deadline)
    {
        for (int start = 0; start < ids.Length; start += Pushing.BlocksMax)
        {
            int count = Math.Min(Pushing.BlocksMax, ids.Length - start);
            if (deadline.Left == TimeSpan.Zero) return Late();
            await RunSomeAsync(ids.Slice(start, count), groups.Slice(start, count), copies, ask, deadline);
            if (failed) return ReplicaOutcome.Failed;
            if (again) return ReplicaOutcome.Again;
        }

        return ReplicaOutcome.Done;
    }

    private ReplicaOutcome Late()
    {
        error ??= new KvError(ErrorCode.DeadlineExceeded, "ack", "replica", "a longer deadline, or memory");
        return ReplicaOutcome.Again;
    }

    private async ValueTask RunSomeAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, int copies, bool ask, NodeDeadline deadline)
    {
        List<(int Silo, List<BlockId> Ids)> targets = Targets(ids.Span, groups.Span, copies);
        if (targets.Count == 0) return;
        if (ask) await Task.WhenAll(targets.Select(target => AskAsync(target.Silo, target.Ids, deadline).AsTask()).ToList());
        BlockId[] wanted = [.. targets.SelectMany(target => target.Ids).Distinct()];
        for (int start = 0; start < wanted.Length && !again && !failed;)
        {
            ReadOnlyMemory<BlockId> asked = wanted.AsMemory(start);
            using StoredBlocks read = await node.Store.ReadAsync(handle, asked, deadline.AtMost(node.Options.PeerDeadline));
            ReadOnlyMemory<BlockId> piece = asked[..read.Examined(asked.Length)];
            start += piece.Length;
            var blocks = new Dictionary<BlockId, StoredBlock>(read.Blocks.Count);
            foreach (StoredBlock block in read.Blocks) blocks[block.Id] = block;
            Miss(piece.Span, blocks);
            await Task.WhenAll(targets.Select(target => PushAsync(target.Silo, target.Ids, blocks, deadline).AsTask()).ToList());
        }
    }

    /// <summary>Notes blocks that were not read: they are gone, or there was no room to read them in time.</summary>
    private void Miss(ReadOnlySpan<BlockId> ids, Dictionary<BlockId, StoredBlock> blocks)
    {
        foreach (BlockId id in ids)
        {
            if (blocks.ContainsKey(id)) continue;
            if (node.Store.Has(handle, id)) Again(new KvError(ErrorCode.HostFull, "block", $"{id}", "room to read it"), 0);
            else Fail(new KvError(ErrorCode.Unavailable, "ack", $"{id} went before it was copied", "blocks that stay"));
        }
    }

    private List<(int Silo, List<BlockId> Ids)> Targets(ReadOnlySpan<BlockId> ids, ReadOnlySpan<BlockId> groups, int copies)
    {
        var targets = new List<(int Silo, List<BlockId> Ids)>();
        for (int i = 0; i < ids.Length; i++)
        {
            Holders holders = Holders.Of(map, MoreCopies(copies, groups[i]), groups[i]);
            for (int rank = 0; rank < holders.Count; rank++)
            {
                int silo = holders[rank];
                if (silo == self) continue;
                int at = targets.FindIndex(target => target.Silo == silo);
                if (at < 0)
                {
                    at = targets.Count;
                    targets.Add((silo, []));
                }

                targets[at].Ids.Add(ids[i]);
            }
        }

        return targets;
    }

    private async ValueTask AskAsync(int silo, List<BlockId> ids, NodeDeadline deadline)
    {
        BlockId[] asked = [.. ids];
        Result<Answered<bool[]>> answer =
            await calls.HaveAsync(map.Silos[silo], map, descriptor.Id, asked, deadline.AtMost(node.Options.PeerDeadline));
        if (!answer.IsOk)
        {
            Again(answer.Error!, 0);
            return;
        }

        if (answer.Value.Epoch != map.Epoch) Again(Moved(silo), answer.Value.Epoch);
        else ids.RemoveAll(id => answer.Value.Value[Array.IndexOf(asked, id)]);
    }

    private async ValueTask PushAsync(int silo, List<BlockId> ids, Dictionary<BlockId, StoredBlock> blocks, NodeDeadline deadline)
    {
        var some = new List<StoredBlock>();
        long bytes = 0;
        foreach (BlockId id in ids)
        {
            if (!blocks.TryGetValue(id, out StoredBlock? block)) continue;
            if (some.Count > 0 && bytes + block.Payload.Length > Pushing.BytesMax)
            {
                await PushSomeAsync(silo, some, deadline);
                some = [];
                bytes = 0;
            }

            some.Add(block);
            bytes += block.Payload.Length;
        }

        if (some.Count > 0) await PushSomeAsync(silo, some, deadline);
    }

    private async ValueTask PushSomeAsync(int silo, List<StoredBlock> blocks, NodeDeadline deadline)
    {
        var batch = new PushBatch(descriptor, PushRole.Replica, map.Epoch, blocks);
        Result<PushReply> reply = await calls.PushAsync(map.Silos[silo], batch, deadline.AtMost(node.Options.PeerDeadline));
        if (!reply.TryGet(out PushReply? done, out KvError? lost))
        {
            Again(lost, 0);
            return;
        }

        if (done.Statuses.Contains(PushStatus.Moved)) Again(Moved(silo), done.Epoch);
        if (!done.Statuses.Contains(PushStatus.Refused)) return;
        NodeCounters counters = node.Counters;
        NodeCounters.Add(ref counters.PushesRefused);
        IsRefused = true;
        KvError why = done.Error ?? new KvError(ErrorCode.HostFull, "ack");
        Fail(new KvError(why.Code, "ack", $"refused by {map.Silos[silo].Name}: {why.Message}"));
    }

    private KvError Moved(int silo) => new(ErrorCode.Conflict, "ack", $"{map.Silos[silo].Name} has another map", "the same map");

    private void Again(KvError why, long epoch)
    {
        lock (gate)
        {
            again = true;
            error ??= new KvError(why.Code, "ack", $"replica: {why.Message}", "all holders");
            NewestEpoch = Math.Max(NewestEpoch, epoch);
        }
    }

    private void Fail(KvError why)
    {
        lock (gate)
        {
            failed = true;
            error ??= why;
        }
    }
}
