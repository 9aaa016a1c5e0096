namespace KvTier.Cluster;

/// <summary>
/// Readies values of mutable namespaces for what is done with them: brings them from whoever owned them before, as long as they may be
/// there. Each is brought once for all who wait for it.
/// </summary>
internal sealed class MutableValues(NodeContext node, MutableState state, Settling settling, ValueFetch fetch)
{
    private static readonly TimeSpan tick = TimeSpan.FromMilliseconds(1);

    private readonly Dictionary<(ushort Ns, BlockId Id), Task<KvError?>> flights = [];

    /// <summary>Readies a value; see <see cref="ClusterNode.PrepareAsync"/>.</summary>
    public ValueTask<KvError?> PrepareAsync(ushort ns, BlockId id, ValueAccess access, TimeSpan deadline) =>
        state.IsCalm ? default : PrepareSlowAsync(ns, id, access, node.Deadline(deadline));

    /// <summary>Takes values that an earlier owner offers.</summary>
    /// <param name="from">Who offers.</param>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="ids">The values.</param>
    /// <param name="span">Time for it.</param>
    /// <returns>One for each: true when the earlier owner is to drop it.</returns>
    public async ValueTask<bool[]> TakeAsync(string from, ushort ns, BlockId[] ids, TimeSpan span)
    {
        NodeDeadline deadline = node.Deadline(span);
        bool[] taken = new bool[ids.Length];
        var wanted = new List<BlockId>();
        var landing = new TaskCompletionSource<KvError?>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (state.Gate)
        {
            for (int i = 0; i < ids.Length; i++)
            {
                if (!state.Owns(ids[i]) || flights.ContainsKey((ns, ids[i]))) continue;
                taken[i] = state.IsRight(ns, ids[i]);
                if (taken[i]) continue;
                wanted.Add(ids[i]);
                flights.Add((ns, ids[i]), landing.Task);
            }
        }

        if (wanted.Count == 0) return taken;
        HashSet<BlockId> came = await FlyAsync(ns, wanted, from, landing, deadline);
        for (int i = 0; i < ids.Length; i++) taken[i] |= came.Contains(ids[i]);
        return taken;
    }

    /// <summary>Finds out whether values that may be old are right, and drops those that are not.</summary>
    /// <returns>True when none of them is in doubt any more.</returns>
    public async ValueTask<bool> ResolveAsync(ushort ns, List<BlockId> ids)
    {
        var landing = new TaskCompletionSource<KvError?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var wanted = new List<BlockId>();
        lock (state.Gate)
        {
            foreach (BlockId id in ids)
            {
                if (!state.IsInDoubt(ns, id)) continue;
                if (!state.Owns(id)) state.DropDoubtful(ns, id);
                else if (flights.TryAdd((ns, id), landing.Task)) wanted.Add(id);
            }
        }

        if (wanted.Count > 0) await FlyAsync(ns, wanted, from: null, landing, node.Deadline(node.Options.PeerDeadline * 2));
        return ids.TrueForAll(id => !state.IsInDoubt(ns, id) || !node.Store.Has(ns, id));
    }

    private async ValueTask<KvError?> PrepareSlowAsync(ushort ns, BlockId id, ValueAccess access, NodeDeadline deadline)
    {
        if (node.NamespaceOf(ns) is not { IsMutable: true }) return null;
        while (state.SeenEpoch < node.Map.Epoch && deadline.Left > TimeSpan.Zero) await node.PauseAsync(deadline.AtMost(tick));
        while (deadline.Left > TimeSpan.Zero && !node.IsStopping)
        {
            Task<KvError?>? flight;
            TaskCompletionSource<KvError?>? landing = null;
            lock (state.Gate)
            {
                if (!state.Owns(id)) return new KvError(ErrorCode.Moved, "group", $"{id}", $"{node.Map.Epoch}");
                if (state.IsRight(ns, id)) return null;
                if (!flights.TryGetValue((ns, id), out flight))
                {
                    if (IsReady(ns, id, access)) return MakeRight(ns, id);
                    landing = new TaskCompletionSource<KvError?>(TaskCreationOptions.RunContinuationsAsynchronously);
                    flights.Add((ns, id), landing.Task);
                }
            }

            if (landing is not null) await FlyAsync(ns, [id], from: null, landing, deadline);
            else if (!await NodeWaiting.ForAsync(flight!, deadline.Left, node.Time)) break;
            if (await (landing?.Task ?? flight!) is { } error && !state.IsRight(ns, id)) return error;
        }

        return new KvError(ErrorCode.Unavailable, "value", $"{id}", "an earlier owner that answers in time");
    }

    /// <summary>True when nothing is to be asked: what is here is right, or does not matter.</summary>
    private bool IsReady(ushort ns, BlockId id, ValueAccess access)
    {
        if (access == ValueAccess.Replace) state.DropDoubtful(ns, id);
        else if (state.IsInDoubt(ns, id) && node.Store.Has(ns, id)) return false;
        return access == ValueAccess.Replace || node.Store.Has(ns, id) || !settling.MayBeElsewhere(id);
    }

    private KvError? MakeRight(ushort ns, BlockId id) => state.MakeRight(ns, id)
        ? null
        : new KvError(ErrorCode.Busy, "values", $"{MutableState.KnownMax}", "fewer changes until the silos have handed over");

    private async ValueTask<HashSet<BlockId>> FlyAsync(
        ushort ns, List<BlockId> ids, string? from, TaskCompletionSource<KvError?> landing, NodeDeadline deadline)
    {
        var came = new HashSet<BlockId>();
        KvError? error = new(ErrorCode.Unavailable, "value", $"{ids[0]}", "an earlier owner that answers");
        try
        {
            ClusterMap map = node.Map;
            (HashSet<BlockId> ready, KvError? why) = await fetch.RunAsync(map, ns, ids, from, deadline);
            lock (state.Gate)
            {
                error = why;
                bool isSame = node.Map.Epoch == map.Epoch && state.SeenEpoch == map.Epoch;
                foreach (BlockId id in ready)
                {
                    if (isSame && state.MakeRight(ns, id)) came.Add(id);
                }

                if (came.Count < ids.Count) error ??= new KvError(ErrorCode.Unavailable, "value", $"{ids[0]}", "the same map");
            }
        }
        finally
        {
            lock (state.Gate)
            {
                foreach (BlockId id in ids) flights.Remove((ns, id));
            }

            landing.TrySetResult(error);
        }

        return came;
    }
}
