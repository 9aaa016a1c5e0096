namespace KvTier.Cluster;

/// <summary>
/// Turns a change of the map into one transaction: what differs is written, if the epoch and the author's lease still stand.
/// </summary>
internal static class EtcdCommit
{
    /// <summary>Most steps of one transaction; etcd's own default limit is 128.</summary>
    public const int StepsMax = 120;

    /// <summary>Makes the transaction.</summary>
    /// <param name="keys">The keys.</param>
    /// <param name="map">The map that the change is of.</param>
    /// <param name="change">The change.</param>
    /// <param name="self">Name of the author.</param>
    /// <param name="lease">The author's lease.</param>
    public static Result<EtcdTransaction> Create(EtcdKeys keys, ClusterMap map, ClusterChange change, string self, long lease)
    {
        if (!MapCommit.Apply(map, change).TryGet(out ClusterMap? next, out KvError? error)) return error;
        var steps = new List<EtcdOperation> { EtcdOperation.Put(keys.Epoch, EtcdKeys.WriteEpoch(next.Epoch)) };
        if (next.MembersEpoch == next.Epoch) steps.Add(EtcdOperation.Put(keys.MembersEpoch, EtcdKeys.WriteEpoch(next.Epoch)));
        if (change.Settings is { } settings) steps.Add(EtcdOperation.Put(keys.Settings, EtcdJson.WriteValue(settings)));
        if (change.Silos is not null) AddMembers(keys, map, next, steps);
        foreach ((BlockId group, string? silo) in change.Moved ?? new Dictionary<BlockId, string?>())
        {
            byte[] key = keys.MovedGroup(group);
            steps.Add(silo is null ? EtcdOperation.Delete(key) : EtcdOperation.Put(key, System.Text.Encoding.UTF8.GetBytes(silo)));
        }

        if (steps.Count > StepsMax) return KvError.LimitExceeded("change", steps.Count, StepsMax);
        return new EtcdTransaction
        {
            Compare = [EtcdCompare.HasValue(keys.Epoch, EtcdKeys.WriteEpoch(map.Epoch)), EtcdCompare.HasLease(keys.Silo(self), lease)],
            Success = steps,
            Failure = [EtcdOperation.Get(keys.Epoch), EtcdOperation.Get(keys.Silo(self))],
        };
    }

    /// <summary>Why a transaction was refused.</summary>
    public static KvError Refusal(EtcdTransactionAnswer answer, ClusterChange change, string self, long lease)
    {
        if (answer.KeyOf(1) is not { } registration || registration.Lease != lease)
            return new KvError(ErrorCode.Fenced, "silo.lease", self, "a lease that holds; join again");
        long epoch = answer.KeyOf(0) is { } found && EtcdKeys.ReadEpoch(found.Value, "epoch").TryGet(out long read, out _) ? read : -1;
        return MapCommit.OtherEpoch(change.Epoch, epoch);
    }

    private static void AddMembers(EtcdKeys keys, ClusterMap map, ClusterMap next, List<EtcdOperation> steps)
    {
        foreach (SiloEntry silo in next.Silos)
        {
            if (map.IndexOf(silo.Name) is >= 0 and var index && map.Silos[index] == silo) continue;
            steps.Add(EtcdOperation.Put(keys.Member(silo.Name), EtcdJson.WriteValue(silo)));
        }

        foreach (SiloEntry silo in map.Silos)
        {
            if (next.IndexOf(silo.Name) < 0) steps.Add(EtcdOperation.Delete(keys.Member(silo.Name)));
        }
    }
}
