namespace KvTier.Cluster;

/// <summary>The newest state that is known, and who waits for a newer one. Thread-safe.</summary>
internal sealed class EtcdView
{
    private readonly EtcdKeys keys;
    private readonly string cluster;
    private readonly Lock gate = new();
    private EtcdFacts facts;
    private ClusterState state;
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long position;
    private bool known;

    public EtcdView(EtcdKeys keys, string cluster)
    {
        (this.keys, this.cluster) = (keys, cluster);
        facts = new EtcdFacts(keys, cluster);
        state = facts.ToState(0);
    }

    /// <summary>The state; null before the first was read.</summary>
    public ClusterState? State
    {
        get
        {
            lock (gate) return known ? state : null;
        }
    }

    /// <summary>All that happened up to this revision of etcd is in the state; 0 before the first was read.</summary>
    public long Position
    {
        get
        {
            lock (gate) return position;
        }
    }

    /// <summary>Ends at the next change.</summary>
    public Task Changed
    {
        get
        {
            lock (gate) return changed.Task;
        }
    }

    /// <summary>Takes over all keys as they were at one revision, unless more is known already.</summary>
    /// <param name="revision">The revision.</param>
    /// <param name="found">The keys.</param>
    /// <param name="withMoved">False when the moved groups are left out, since they are those of the known state.</param>
    /// <param name="wentBack">True when etcd has lost what was known: then less is taken over too.</param>
    public KvError? Reset(long revision, IEnumerable<EtcdKeyValue> found, bool withMoved, bool wentBack)
    {
        var fresh = new EtcdFacts(keys, cluster);
        lock (gate)
        {
            if (!withMoved) fresh.ShareMoved(facts);
        }

        foreach (EtcdKeyValue each in found)
        {
            if (fresh.Put(each.Key, each.Value) is { } error) return error;
        }

        lock (gate)
        {
            if (known && revision <= position && !wentBack) return null;
            if (wentBack) position = 0;
            facts = fresh;
            Publish(revision);
        }

        return null;
    }

    /// <summary>Takes changes over; those that are known are left out.</summary>
    /// <remarks>What the header of a message says of etcd's revision is not used: it may be ahead of the changes that were sent.</remarks>
    /// <param name="events">The changes in order, all those of a revision together.</param>
    public KvError? Apply(IReadOnlyList<EtcdEvent> events)
    {
        lock (gate)
        {
            bool any = false;
            foreach (EtcdEvent each in events)
            {
                if (each.Kv.ModRevision <= position) continue;
                any = true;
                KvError? error = each.Type == "DELETE" ? facts.Delete(each.Kv.Key) : facts.Put(each.Kv.Key, each.Kv.Value);
                if (error is not null) return error;
            }

            if (any) Publish(events[^1].Kv.ModRevision);
            return null;
        }
    }

    private void Publish(long revision)
    {
        position = Math.Max(position, revision);
        known = true;
        state = facts.ToState(position);
        TaskCompletionSource waited = changed;
        changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        waited.SetResult();
    }
}
