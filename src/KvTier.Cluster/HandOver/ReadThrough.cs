namespace KvTier.Cluster;

/// <summary>
/// Fetches what is not here from silos that held it before. Each block is fetched once for all who wait for it, and there is a limit to
/// the fetches at a time. Thread-safe.
/// </summary>
internal sealed class ReadThrough(
    NodeContext node, PeerCalls calls, Settling settling, EarlierHolders earlier, HandOverLoop handOver)
{
    /// <summary>Most fetches at a time; who comes when there are as many gets misses.</summary>
    private const int FetchesMax = 64;

    private readonly Lock gate = new();
    private readonly Dictionary<(ushort Ns, BlockId Id), Task<bool>> flights = [];
    private int fetches;

    /// <summary>Fetches blocks into this silo's store; see <see cref="ClusterNode.ReadThroughAsync"/>.</summary>
    public async ValueTask<int> RunAsync(
        ushort ns, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, TimeSpan span)
    {
        if (node.NamespaceOf(ns) is not { IsMutable: false } descriptor) return 0;
        if (groups.IsEmpty) groups = ids;
        NodeDeadline deadline = node.Deadline(span);
        ClusterMap map = node.Map;
        var waiting = new List<Task<bool>>();
        var own = new List<(List<SiloEntry> Silos, List<BlockId> Ids)>();
        var mine = new Dictionary<BlockId, TaskCompletionSource<bool>>();
        lock (gate)
        {
            for (int i = 0; i < ids.Length; i++)
            {
                BlockId id = ids.Span[i];
                if (mine.ContainsKey(id) || node.Store.Has(ns, id) || !settling.MayBeElsewhere(groups.Span[i])) continue;
                if (flights.TryGetValue((ns, id), out Task<bool>? flight))
                {
                    waiting.Add(flight);
                    continue;
                }

                List<SiloEntry> silos = earlier.Of(map, map.Settings.ReplicasOf(descriptor), groups.Span[i]);
                if (silos.Count == 0 || fetches >= FetchesMax) continue;
                var landing = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
                flights.Add((ns, id), landing.Task);
                mine.Add(id, landing);
                int at = own.FindIndex(each => each.Silos.SequenceEqual(silos));
                if (at < 0)
                {
                    at = own.Count;
                    own.Add((silos, []));
                }

                own[at].Ids.Add(id);
            }

            if (own.Count > 0) fetches++;
        }

        if (own.Count > 0) await FlyAsync(ns, descriptor, map, own, mine, deadline);
        foreach (Task<bool> flight in waiting) await NodeWaiting.ForAsync(flight, deadline.Left, node.Time);
        return CountHere(ns, ids.Span);
    }

    /// <summary>Blocks that are here, however they came: who was asked may have handed them over and dropped them by itself.</summary>
    private int CountHere(ushort ns, ReadOnlySpan<BlockId> ids)
    {
        int count = 0;
        foreach (BlockId id in ids) count += node.Store.Has(ns, id) ? 1 : 0;
        return count;
    }

    private async ValueTask FlyAsync(
        ushort ns, NamespaceDescriptor descriptor, ClusterMap map, List<(List<SiloEntry> Silos, List<BlockId> Ids)> own,
        Dictionary<BlockId, TaskCompletionSource<bool>> mine, NodeDeadline deadline)
    {
        try
        {
            await Task.WhenAll(own.Select(each => FetchAsync(ns, descriptor, map, each.Silos, each.Ids, mine, deadline).AsTask()).ToList());
        }
        finally
        {
            lock (gate)
            {
                fetches--;
                foreach (BlockId id in mine.Keys) flights.Remove((ns, id));
            }

            foreach (TaskCompletionSource<bool> landing in mine.Values) landing.TrySetResult(false);
        }
    }

    /// <summary>Asks all silos at once who has what, then fetches each block from the likeliest that has it.</summary>
    private async ValueTask FetchAsync(
        ushort ns, NamespaceDescriptor descriptor, ClusterMap map, List<SiloEntry> silos, List<BlockId> ids,
        Dictionary<BlockId, TaskCompletionSource<bool>> mine, NodeDeadline deadline)
    {
        NodeCounters counters = node.Counters;
        NodeCounters.Add(ref counters.ReadThroughAsked, ids.Count);
        BlockId[] wanted = [.. ids];
        Result<Answered<bool[]>>[] answers = await Task.WhenAll(silos.Select(silo => calls.HaveAsync(
            silo, map, descriptor.Id, wanted, deadline.AtMost(node.Options.PeerDeadline)).AsTask()).ToList());
        for (int i = 0; i < silos.Count; i++)
        {
            if (!answers[i].IsOk) continue;
            List<BlockId> there = [.. wanted.Where((id, at) => answers[i].Value.Value[at] && !mine[id].Task.IsCompleted)];
            while (there.Count > 0 && await FetchSomeAsync(ns, descriptor, map, silos[i], there, mine, deadline))
            {
            }
        }
    }

    /// <summary>Fetches as many blocks as fit into an answer, and takes them off the list.</summary>
    /// <returns>False when nothing came.</returns>
    private async ValueTask<bool> FetchSomeAsync(
        ushort ns, NamespaceDescriptor descriptor, ClusterMap map, SiloEntry silo, List<BlockId> there,
        Dictionary<BlockId, TaskCompletionSource<bool>> mine, NodeDeadline deadline)
    {
        Result<Answered<List<StoredBlock>>> answer =
            await calls.FetchAsync(silo, map, descriptor.Id, [.. there], deadline.AtMost(node.Options.PeerDeadline));
        if (!answer.IsOk || answer.Value.Value.Count == 0) return false;
        NodeCounters counters = node.Counters;
        foreach (StoredBlock block in answer.Value.Value)
        {
            there.Remove(block.Id);
            Result<bool> stored = await node.Store.PutAsync(ns, block, deadline.Left);
            if (!stored.IsOk) continue;
            handOver.NoteStored(ns, block.Group, map.Epoch, isFromOther: true);
            NodeCounters.Add(ref counters.ReadThroughBlocks);
            NodeCounters.Add(ref counters.ReadThroughBytes, block.Payload.Length);
            mine[block.Id].TrySetResult(true);
        }

        return true;
    }
}
