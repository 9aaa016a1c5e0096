namespace KvTier.Recall.Tests.Distributed;

/// <summary>The other silos of a <see cref="PartCluster"/>, called directly; calls can be made to hang, fail or be counted.</summary>
internal sealed class DirectPeers(PartCluster cluster, string self) : IPartPeers
{
    private int answering;

    internal ClusterMap Map { get; set; } = null!;

    internal Func<IReadOnlyList<NamespaceDescriptor>> Descriptors { get; set; } = null!;

    /// <summary>False when the silo can't show that it may write.</summary>
    internal bool HasAuthority { get; set; } = true;

    /// <summary>Silos that never answer.</summary>
    internal HashSet<string> Hang { get; } = [];

    /// <summary>Silos that can't be reached.</summary>
    internal HashSet<string> Away { get; } = [];

    /// <summary>Operations that were sent, with the silo.</summary>
    internal List<(string Silo, ushort Op)> Sent { get; } = [];

    /// <summary>True when something was sent to a silo.</summary>
    internal bool HasAsked(string silo)
    {
        lock (Sent) return Sent.Exists(sent => sent.Silo == silo);
    }

    /// <summary>Calls that are being answered.</summary>
    internal int Answering => Volatile.Read(ref answering);

    /// <summary>Makes other messages of those that are sent; null for none.</summary>
    internal Func<PartMessage, PartMessage>? Changed { get; set; }

    public string Self => self;

    public long Epoch => Map.Epoch;

    public string? OwnerOf(BlockId group) => Map.OwnerOf(group) is >= 0 and var owner ? Map.Silos[owner].Name : null;

    public IReadOnlyList<string> HoldersOf(ushort ns, BlockId group)
    {
        var found = new int[cluster.Replicas];
        return [.. found[..Map.FindHolders(group, found)].Select(index => Map.Silos[index].Name)];
    }

    public IReadOnlyList<string> MayHave(ushort ns, BlockId group) => [.. Map.Silos.Select(silo => silo.Name)];

    public KvError? Refuse(ushort ns, BlockId group, bool change)
    {
        if (OwnerOf(group) != self) return new KvError(ErrorCode.Moved, "sequence", OwnerOf(group) ?? "", $"{Epoch}");
        return change && !HasAuthority ? new KvError(ErrorCode.Fenced, "sequence", self) : null;
    }

    public async ValueTask<Result<PartMessage>> CallAsync(string silo, PartMessage request, TimeSpan deadline)
    {
        bool hangs = Hang.Contains(silo);
        if (!hangs) Interlocked.Increment(ref answering);
        lock (Sent) Sent.Add((silo, request.Op));
        if (hangs) await Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
        try
        {
            if (Away.Contains(silo) || Map.IndexOf(silo) < 0) return new KvError(ErrorCode.Unavailable, "peer", silo);
            await Task.Yield();
            return await cluster.Silo(silo).Sequences.OnCallAsync(self, Changed?.Invoke(request) ?? request, deadline);
        }
        finally
        {
            Interlocked.Decrement(ref answering);
        }
    }
}
