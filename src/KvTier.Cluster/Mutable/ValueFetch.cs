namespace KvTier.Cluster;

/// <summary>Finds the newest of several silos' values, and fetches it.</summary>
internal sealed class ValueFetch(
    NodeContext node, PeerCalls calls, MutableState state, Settling settling, EarlierHolders earlier, HandOverLoop handOver)
{
    /// <summary>In a cluster of so many silos all are asked that may have a value; in a larger one those that likely have it.</summary>
    private const int AllAskedMax = 8;

    /// <summary>Brings values into this silo's store.</summary>
    /// <param name="map">The map by which this silo owns them.</param>
    /// <param name="ns">Handle of their namespace.</param>
    /// <param name="ids">The values.</param>
    /// <param name="from">A silo that has them; null for none in particular.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>Those that are right here now, some of them as there is none; and why others are not.</returns>
    public async ValueTask<(HashSet<BlockId> Ready, KvError? Error)> RunAsync(
        ClusterMap map, ushort ns, List<BlockId> ids, string? from, NodeDeadline deadline)
    {
        var ready = new HashSet<BlockId>();
        if (node.NamespaceOf(ns) is not { } descriptor) return (ready, new KvError(ErrorCode.NamespaceUnknown, "namespace", $"{ns}"));
        var targets = new ValueTargets();
        var best = new Dictionary<BlockId, (string Silo, ValueKnown Known)>();
        foreach (BlockId id in ids)
        {
            // What is left here from an earlier time stands until somebody who owned it since says otherwise.
            IEnumerable<string> between = [];
            if (state.Claim(map, ns, id) is { } claim)
            {
                best.Add(id, (node.Self, new ValueKnown(ValueState.Here, claim.OwnedAt)));
                between = claim.Between.Select(silo => silo.Name);
            }

            targets.Add(id, Silos(map, id, from).Union(between));
        }

        var unsure = new HashSet<BlockId>();
        while (targets.Take() is { Count: > 0 } round)
        {
            ValueKnown[]?[] answers = await Task.WhenAll(
                round.Select(each => AskAsync(map, descriptor.Id, each.Silo, [.. each.Ids], deadline).AsTask()).ToList());
            for (int i = 0; i < round.Count; i++) Weigh(round[i].Silo, round[i].Ids, answers[i], best, unsure);

            // Who owned it since knows better, though it has settled: it may have deleted it.
            foreach (BlockId id in ids)
            {
                if (best.TryGetValue(id, out (string Silo, ValueKnown Known) found) && found.Known.Between is { Count: > 0 } since)
                    targets.Add(id, since.Where(silo => silo != node.Self));
            }
        }

        KvError? error = unsure.Count > 0
            ? new KvError(ErrorCode.Unavailable, "value", $"{unsure.First()}", "earlier owners that answer")
            : null;
        var wanted = new Dictionary<string, List<BlockId>>(StringComparer.Ordinal);
        foreach (BlockId id in ids)
        {
            if (unsure.Contains(id)) continue;
            if (best.TryGetValue(id, out (string Silo, ValueKnown Known) own) && own.Silo == node.Self)
            {
                ready.Add(id);
                continue;
            }

            state.DropDoubtful(ns, id);
            if (!best.TryGetValue(id, out (string Silo, ValueKnown Known) value) || value.Known.State == ValueState.Absent) ready.Add(id);
            else if (wanted.TryGetValue(value.Silo, out List<BlockId>? some)) some.Add(id);
            else wanted.Add(value.Silo, [id]);
        }

        foreach ((string silo, List<BlockId> some) in wanted)
            error = await FetchAsync(map, ns, descriptor, silo, some, ready, deadline) ?? error;
        return (ready, error);
    }

    private IEnumerable<string> Silos(ClusterMap map, BlockId id, string? from)
    {
        IEnumerable<string> found = map.Silos.Count > AllAskedMax
            ? earlier.Of(map, 1, id).Select(silo => silo.Name)
            : map.Silos.Where(silo => silo.Name != node.Self && settling.IsUnsettled(silo.Name)).Select(silo => silo.Name);
        if (settling.MovedFrom(id) is { } old && old != node.Self) found = found.Append(old);
        if (from is not null) found = found.Append(from);
        return found.Distinct(StringComparer.Ordinal).Where(silo => map.IndexOf(silo) >= 0);
    }

    private async ValueTask<ValueKnown[]?> AskAsync(ClusterMap map, NamespaceId ns, string silo, BlockId[] ids, NodeDeadline deadline)
    {
        if (map.IndexOf(silo) < 0) return null;
        Result<PeerMessage> answer = await calls.CallAsync(
            map.Silos[map.IndexOf(silo)], map, BlockOps.Values, new IdsQuery(ns, ids).Write(), deadline.AtMost(node.Options.PeerDeadline));
        if (!answer.TryGet(out PeerMessage? message, out _)) return null;
        Result<ValuesAnswer> values = ValuesAnswer.Read(message.Body.Span, ids.Length);
        return values.IsOk ? values.Value.Values : null;
    }

    /// <summary>The silo that owned a value last is right: whether it has one, and which.</summary>
    private static void Weigh(
        string silo, List<BlockId> asked, ValueKnown[]? answers, Dictionary<BlockId, (string Silo, ValueKnown Known)> best,
        HashSet<BlockId> unsure)
    {
        if (answers is null) unsure.UnionWith(asked);
        for (int i = 0; i < asked.Count && answers is not null; i++)
        {
            if (answers[i].State == ValueState.Unknown) continue;
            bool isNewer = !best.TryGetValue(asked[i], out (string Silo, ValueKnown Known) other)
                || answers[i].OwnedAt > other.Known.OwnedAt
                || (answers[i].OwnedAt == other.Known.OwnedAt && answers[i].State == ValueState.Here);
            if (isNewer) best[asked[i]] = (silo, answers[i]);
        }
    }

    private async ValueTask<KvError?> FetchAsync(
        ClusterMap map, ushort ns, NamespaceDescriptor descriptor, string silo, List<BlockId> ids, HashSet<BlockId> ready,
        NodeDeadline deadline)
    {
        NodeCounters counters = node.Counters;
        while (ids.Count > 0)
        {
            Result<Answered<List<StoredBlock>>> answer = await calls.FetchAsync(
                map.Silos[map.IndexOf(silo)], map, descriptor.Id, [.. ids], deadline.AtMost(node.Options.PeerDeadline));
            if (!answer.TryGet(out Answered<List<StoredBlock>> blocks, out KvError? error)) return error;
            if (blocks.Value.Count == 0) return new KvError(ErrorCode.Unavailable, "value", $"{ids[0]}", $"one that {silo} still has");
            foreach (StoredBlock block in blocks.Value)
            {
                ids.Remove(block.Id);
                Result<bool> stored = await node.Store.PutAsync(ns, block, deadline.Left);
                if (!stored.IsOk) return stored.Error;
                handOver.NoteStored(ns, block.Group, map.Epoch, isFromOther: true);
                ready.Add(block.Id);
                NodeCounters.Add(ref counters.ReadThroughBlocks);
                NodeCounters.Add(ref counters.ReadThroughBytes, block.Payload.Length);
            }
        }

        return null;
    }
}
