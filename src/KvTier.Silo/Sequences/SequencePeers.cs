using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Recall;

namespace KvTier.Silo.Sequences;

/// <summary>The cluster as sequences need it.</summary>
/// <param name="engine">This silo's store, for its namespaces.</param>
/// <param name="membership">This silo's membership.</param>
/// <param name="node">Says what this silo serves.</param>
/// <param name="peers">The way to the others.</param>
internal sealed class SequencePeers(BlockEngine engine, IMembership membership, ClusterNode node, IPeers peers) : IPartPeers
{
    /// <summary>In a cluster of up to so many silos all are asked who has a manifest.</summary>
    private const int AskAllMax = 16;

    /// <summary>Maps from before that are remembered, for who owned what.</summary>
    private const int MapsMax = 4;

    private readonly Lock gate = new();
    private readonly LinkedList<ClusterMap> before = new();

    /// <inheritdoc/>
    public string Self => membership.Self.Name;

    /// <inheritdoc/>
    public long Epoch => Map.Epoch;

    private ClusterMap Map => membership.State.Map;

    /// <summary>Notes a map that is no longer the newest.</summary>
    public void NoteMap(ClusterMap old)
    {
        lock (gate)
        {
            before.AddFirst(old);
            if (before.Count > MapsMax) before.RemoveLast();
        }
    }

    /// <inheritdoc/>
    public string? OwnerOf(BlockId group)
    {
        ClusterMap map = Map;
        return map.OwnerOf(group) is >= 0 and var owner ? map.Silos[owner].Name : null;
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> HoldersOf(ushort ns, BlockId group)
    {
        ClusterMap map = Map;
        return NamesOf(map, group, map.Settings.ReplicasOf(engine.Namespaces[ns]), long.MaxValue);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> MayHave(ushort ns, BlockId group)
    {
        ClusterMap map = Map;
        if (map.Silos.Count <= AskAllMax) return [.. map.Silos.Select(silo => silo.Name)];
        int copies = map.Settings.ReplicasOf(engine.Namespaces[ns]) + 1;
        var names = new HashSet<string>(NamesOf(map, group, copies, long.MaxValue), StringComparer.Ordinal);
        foreach (long joined in map.Silos.Select(silo => silo.JoinedEpoch).Distinct().OrderDescending().Take(MapsMax))
            names.UnionWith(NamesOf(map, group, copies, joined));
        names.UnionWith(map.Silos.Where(silo => silo.Draining).Select(silo => silo.Name));
        lock (gate)
        {
            foreach (ClusterMap old in before) names.UnionWith(NamesOf(old, group, copies, long.MaxValue));
        }

        names.RemoveWhere(name => map.IndexOf(name) < 0);
        return [.. names];
    }

    /// <inheritdoc/>
    public KvError? Refuse(ushort ns, BlockId group, bool change)
    {
        ClusterMap map = Map;
        int owner = map.OwnerOf(group);
        if (owner < 0) return new KvError(ErrorCode.Unavailable, "cluster", "no silo in the map", "an owner for every group");
        if (map.Silos[owner].Name != Self) return MovedError.Of("sequence", map.Silos[owner], map.Epoch);
        if (!change) return null;
        return node.Admit(engine.Namespaces[ns], group, AccessKind.Change) == Admission.Serve
            ? null
            : new KvError(ErrorCode.Fenced, "sequence", Self, $"a silo that can show that it owns the sequence in epoch {map.Epoch}");
    }

    /// <inheritdoc/>
    public async ValueTask<Result<PartMessage>> CallAsync(string silo, PartMessage request, TimeSpan deadline)
    {
        ClusterMap map = Map;
        if (map.IndexOf(silo) is not (>= 0 and var index)) return new KvError(ErrorCode.Unavailable, "silo", silo, "a silo of the map");
        if (!SequenceFrames.Wrap(request).TryGet(out PeerMessage? message, out KvError? error)) return error;
        Result<PeerMessage> result = await peers.CallAsync(map.Silos[index], message, deadline);
        return result.TryGet(out PeerMessage? answer, out error) ? SequenceFrames.Unwrap(answer) : error;
    }

    private static List<string> NamesOf(ClusterMap map, BlockId group, int copies, long joinedBefore)
    {
        var found = new int[copies];
        return [.. found[..map.FindHolders(group, found, joinedBefore)].Select(index => map.Silos[index].Name)];
    }
}
