namespace KvTier.Cluster;

/// <summary>
/// Which values of mutable namespaces are right here. A group that this silo owned all along is; of one that came to it only what was
/// brought or written since is, until all silos have handed over. Thread-safe.
/// </summary>
internal sealed class MutableState(NodeContext node, Settling settling)
{
    /// <summary>Most values that are kept in mind; above it changes of more are refused until all have handed over.</summary>
    public const int KnownMax = 1 << 20;

    private readonly Lock gate = new();
    private readonly OwnershipHistory history = new(node.Self);
    private readonly Dictionary<(ushort Ns, BlockId Id), long> known = [];
    private long seenEpoch;
    private bool calm;

    /// <summary>Epoch of the newest map that was noted.</summary>
    public long SeenEpoch => Interlocked.Read(ref seenEpoch);

    /// <summary>True when every value here is right and nothing is anywhere else.</summary>
    public bool IsCalm => Volatile.Read(ref calm) && SeenEpoch == node.Map.Epoch;

    /// <summary>Held where several questions are answered together.</summary>
    public Lock Gate => gate;

    /// <summary>Values that are kept in mind.</summary>
    public int Known
    {
        get
        {
            lock (gate) return known.Count;
        }
    }

    /// <summary>Notes a change of the map.</summary>
    public void OnMap(ClusterMap before, ClusterMap after)
    {
        lock (gate)
        {
            bool quiet = IsQuiet(before);
            history.Change(before, after, quiet);
            if (quiet && !history.HasGains) known.Clear();
            calm = history.IsCalm;
            Interlocked.Exchange(ref seenEpoch, after.Epoch);
        }
    }

    /// <summary>Begins with the map of the start, when no change of it was seen.</summary>
    public void Start(ClusterMap map)
    {
        lock (gate)
        {
            if (history.Newest is not null) return;
            history.Calm(map);
            calm = true;
            Interlocked.Exchange(ref seenEpoch, map.Epoch);
        }
    }

    /// <summary>Forgets what is kept in mind once all silos have handed over.</summary>
    /// <returns>True when nothing is in doubt.</returns>
    public bool TryCalm()
    {
        lock (gate)
        {
            if (calm) return true;
            if (history.Newest is not { } map || map.Epoch != node.Map.Epoch || history.HasGains || !IsQuiet(map))
                return false;
            history.Calm(map);
            known.Clear();
            return calm = true;
        }
    }

    /// <summary>What came to this silo and is not cleaned up.</summary>
    public OwnershipHistory.Gain[] Gains
    {
        get
        {
            lock (gate) return history.Gains;
        }
    }

    /// <summary>What came to this silo is cleaned up.</summary>
    public void Cleaned(OwnershipHistory.Gain[] gains)
    {
        lock (gate) history.Cleaned(gains);
    }

    /// <summary>True when this silo owns a group by the newest map.</summary>
    public bool Owns(BlockId group)
    {
        ClusterMap map = node.Map;
        return map.OwnerOf(group) is >= 0 and var owner && owner == map.IndexOf(node.Self);
    }

    /// <summary>True when this silo's value is right, or its having none is.</summary>
    public bool IsRight(ushort ns, BlockId id)
    {
        lock (gate) return IsKnown(ns, id) || (!history.IsNew(id) && !history.IsInDoubt(id, RightSince(ns, id)));
    }

    /// <summary>True when a value that is here may be an old one.</summary>
    public bool IsInDoubt(ushort ns, BlockId id)
    {
        lock (gate) return history.IsInDoubt(id, RightSince(ns, id));
    }

    /// <summary>This silo's value, or its having none, is right from now on.</summary>
    /// <returns>False when no more can be kept in mind.</returns>
    public bool MakeRight(ushort ns, BlockId id)
    {
        lock (gate)
        {
            if (known.Count >= KnownMax && !known.ContainsKey((ns, id))) return false;
            known[(ns, id)] = SeenEpoch;
            return true;
        }
    }

    /// <summary>Drops a value that may be an old one.</summary>
    public void DropDoubtful(ushort ns, BlockId id)
    {
        lock (gate)
        {
            if (!IsInDoubt(ns, id) || !node.Store.Has(ns, id)) return;
            node.Store.Drop(ns, id, MissReason.Moved);
        }

        NodeCounters counters = node.Counters;
        NodeCounters.Add(ref counters.MutableDropped);
    }

    /// <summary>
    /// What has to be asked so that a value in doubt may turn out to be right; null when it is not in doubt or nobody can tell any more.
    /// </summary>
    public (List<SiloEntry> Between, long OwnedAt)? Claim(ClusterMap map, ushort ns, BlockId id)
    {
        lock (gate)
        {
            if (!IsInDoubt(ns, id) || !node.Store.Has(ns, id)) return null;
            return history.Between(id) is { } claim && claim.Between.TrueForAll(silo => IsStill(map, silo)) ? claim : null;
        }
    }

    /// <summary>Drops a value of another silo's group that may have been changed since, by a silo that can't be asked any more.</summary>
    /// <returns>False when the value may still be the newest: its owner is to have it.</returns>
    public bool DropForfeit(ushort ns, BlockId id)
    {
        lock (gate)
        {
            if (!IsForfeit(id)) return false;
            if (node.Store.Has(ns, id)) node.Store.Drop(ns, id, MissReason.Moved);
        }

        NodeCounters counters = node.Counters;
        NodeCounters.Add(ref counters.MutableDropped);
        return true;
    }

    /// <summary>
    /// A value that was left with a former owner counts only as long as everybody who owned it since is a member, in the same start: each
    /// of them knows whether it has changed it. One that went may have, whether or not it ever took the value over.
    /// </summary>
    private bool IsForfeit(BlockId id) => history.Newest is not { } map
        || (!history.OwnsNow(id) && !(history.Between(id) is { } claim && claim.Between.TrueForAll(silo => IsStill(map, silo))));

    private static bool IsStill(ClusterMap map, SiloEntry silo) =>
        map.IndexOf(silo.Name) is >= 0 and var index && map.Silos[index].JoinedEpoch == silo.JoinedEpoch;

    /// <summary>True when no silo, this one included, has anything that another one owns by a map.</summary>
    private bool IsQuiet(ClusterMap map) => settling.OwnEpoch >= map.Epoch && settling.AllSettledSince(map);

    /// <summary>What this silo knows of a value, for its owner of now.</summary>
    public ValueKnown Answer(ushort ns, BlockId id)
    {
        lock (gate)
        {
            (long epoch, bool allAlong) = history.OwnedAt(id);
            long since = RightSince(ns, id);
            bool wasKnown = since > 0 && since <= epoch;
            if (history.IsInDoubt(id, since)) return default;
            if (node.Store.Has(ns, id))
            {
                if (IsForfeit(id)) return default;
                List<SiloEntry>? between = history.Between(id)?.Between;
                return new ValueKnown(ValueState.Here, epoch) { Between = [.. (between ?? []).Select(silo => silo.Name).Distinct()] };
            }

            return new ValueKnown(allAlong || wasKnown ? ValueState.Absent : ValueState.Unknown, epoch);
        }
    }

    private long RightSince(ushort ns, BlockId id) => known.GetValueOrDefault((ns, id));

    private bool IsKnown(ushort ns, BlockId id) =>
        !node.Faults.ForgetTouched && known.TryGetValue((ns, id), out long since) && !history.IsNew(id, since);
}
