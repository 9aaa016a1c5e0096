namespace KvTier.Cluster;

/// <summary>What the parts of a node share.</summary>
internal sealed class NodeContext
{
    private readonly Lock heardGate = new();
    private readonly Dictionary<string, long> heard = new(StringComparer.Ordinal);

    public required ClusterOptions Options { get; init; }

    public required IMembership Membership { get; init; }

    public required IPeers Peers { get; init; }

    public required IBlockStore Store { get; init; }

    public required TimeProvider Time { get; init; }

    public required Random Random { get; init; }

    public Faults Faults { get; set; } = Faults.None;

    public NodeCounters Counters { get; } = new();

    /// <summary>How far moves are.</summary>
    public MoveNotes Moves { get; } = new();

    /// <summary>Ends when the node stops.</summary>
    public CancellationTokenSource Stop { get; } = new();

    /// <summary>
    /// Held where a block is dropped because others have it, and where it is said to others that it is here: a drop under one map must
    /// not follow an answer under a newer one.
    /// </summary>
    public Lock DropGate { get; } = new();

    public bool IsStopping => Stop.IsCancellationRequested;

    /// <summary>The newest map.</summary>
    public ClusterMap Map => Membership.State.Map;

    /// <summary>Name of this silo.</summary>
    public string Self => Membership.Self.Name;

    /// <summary>The namespace of a handle; null when there is none.</summary>
    public NamespaceDescriptor? NamespaceOf(ushort handle)
    {
        IReadOnlyList<NamespaceDescriptor> known = Store.Namespaces;
        return handle < known.Count ? known[handle] : null;
    }

    /// <summary>The handle of a namespace; -1 when it is not known here.</summary>
    public int HandleOf(NamespaceId id)
    {
        IReadOnlyList<NamespaceDescriptor> known = Store.Namespaces;
        for (int i = 0; i < known.Count; i++)
        {
            if (known[i].Id == id) return i;
        }

        return -1;
    }

    /// <summary>Notes an epoch that another silo has shown to know.</summary>
    public void Heard(string silo, long epoch)
    {
        lock (heardGate)
        {
            if (heard.GetValueOrDefault(silo) < epoch) heard[silo] = epoch;
        }
    }

    /// <summary>The newest epoch that another silo has shown to know; 0 for none.</summary>
    public long HeardOf(string silo)
    {
        lock (heardGate) return heard.GetValueOrDefault(silo);
    }

    /// <summary>Forgets silos that are not in a map.</summary>
    public void ForgetOthers(ClusterMap map)
    {
        lock (heardGate)
        {
            foreach (string silo in heard.Keys.Where(name => map.IndexOf(name) < 0).ToList()) heard.Remove(silo);
        }
    }

    /// <summary>Starts a deadline.</summary>
    public NodeDeadline Deadline(TimeSpan span) => new(Time, span);

    /// <summary>Waits a while, or until the node stops.</summary>
    public async ValueTask PauseAsync(TimeSpan span)
    {
        if (span <= TimeSpan.Zero || IsStopping) return;
        try
        {
            await Task.Delay(span, Time, Stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The caller looks at IsStopping.
        }
    }

    /// <summary>Waits, for a short time, until this silo's map is of an epoch or later.</summary>
    /// <returns>False when it is not.</returns>
    public async ValueTask<bool> CatchUpAsync(long epoch, TimeSpan longest)
    {
        if (Map.Epoch >= epoch) return true;
        return await Membership.CatchUpAsync(epoch, longest < Options.CatchUp ? longest : Options.CatchUp);
    }
}
