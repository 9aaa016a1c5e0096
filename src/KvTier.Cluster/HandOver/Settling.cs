namespace KvTier.Cluster;

/// <summary>
/// Who has handed over what others own. While a silo has not, a miss of what it may still have asks it first; once all have, a miss costs
/// nothing more. Thread-safe.
/// </summary>
internal sealed class Settling(NodeContext node)
{
    /// <summary>Most moved groups whose move is remembered; a miss of one that is forgotten is no more than a miss.</summary>
    private const int MovesMax = 1 << 16;

    private readonly Lock gate = new();
    private readonly Dictionary<BlockId, Move> moves = [];
    private readonly Queue<(BlockId Group, long Epoch)> order = [];
    private Seen? seen;
    private long settled;

    /// <summary>Epoch of the newest map under which this silo has handed over everything.</summary>
    public long OwnEpoch => Interlocked.Read(ref settled);

    /// <summary>This silo has handed over everything under a map.</summary>
    public void Settle(ClusterMap map) => Interlocked.Exchange(ref settled, map.Epoch);

    /// <summary>Notes which groups a change of the map has moved.</summary>
    public void OnMap(ClusterMap before, ClusterMap after)
    {
        if (before.Epoch == 0 || ReferenceEquals(before.Moved, after.Moved)) return;
        foreach ((BlockId group, string silo) in after.Moved)
        {
            if (before.Moved.GetValueOrDefault(group) != silo) Note(group, before, after);
        }

        foreach (BlockId group in before.Moved.Keys)
        {
            if (!after.Moved.ContainsKey(group)) Note(group, before, after);
        }
    }

    /// <summary>True when another silo may still have blocks of a group that this one owns.</summary>
    public bool MayBeElsewhere(BlockId group)
    {
        Seen now = Look();
        if (now.AnyUnsettled) return true;
        if (moves.Count == 0) return false;
        lock (gate) return moves.TryGetValue(group, out Move move) && IsUnsettled(now.State, move.From, move.Epoch);
    }

    /// <summary>True when all other silos of a map have handed over what they had under it, as far as is known here.</summary>
    public bool AllSettledSince(ClusterMap map)
    {
        ClusterState state = node.Membership.State;
        foreach (SiloEntry silo in map.Silos)
        {
            if (silo.Name == node.Self) continue;
            if (!state.Loads.TryGetValue(silo.Name, out SiloLoad? load) || load.SettledEpoch < map.Epoch) return false;
        }

        return true;
    }

    /// <summary>True when a silo of the newest map may still have what others own.</summary>
    public bool IsUnsettled(string silo) => IsUnsettled(node.Membership.State, silo, node.Map.MembersEpoch);

    /// <summary>The silo that a group was last moved away from, as long as it may have something of it; null otherwise.</summary>
    public string? MovedFrom(BlockId group)
    {
        lock (gate)
        {
            return moves.TryGetValue(group, out Move move) && IsUnsettled(node.Membership.State, move.From, move.Epoch) ? move.From : null;
        }
    }

    private static bool IsUnsettled(ClusterState state, string silo, long epoch) =>
        state.Map.IndexOf(silo) >= 0 && (!state.Loads.TryGetValue(silo, out SiloLoad? load) || load.SettledEpoch < epoch);

    private void Note(BlockId group, ClusterMap before, ClusterMap after)
    {
        int from = before.OwnerOf(group);
        if (from < 0) return;
        lock (gate)
        {
            moves[group] = new Move(before.Silos[from].Name, after.Epoch);
            order.Enqueue((group, after.Epoch));
            while (order.Count > MovesMax)
            {
                (BlockId oldest, long epoch) = order.Dequeue();
                if (moves.TryGetValue(oldest, out Move move) && move.Epoch == epoch) moves.Remove(oldest);
            }
        }
    }

    private Seen Look()
    {
        ClusterState state = node.Membership.State;
        Seen? last = Volatile.Read(ref seen);
        return last is not null && ReferenceEquals(last.State, state) ? last : LookAnew(state);
    }

    private Seen LookAnew(ClusterState state)
    {
        string self = node.Self;
        bool any = state.Map.Silos.Any(silo => silo.Name != self && IsUnsettled(state, silo.Name, state.Map.MembersEpoch));
        var last = new Seen(state, any);
        Volatile.Write(ref seen, last);
        return last;
    }

    private readonly record struct Move(string From, long Epoch);

    private sealed record Seen(ClusterState State, bool AnyUnsettled);
}
