namespace KvTier.Cluster.Tests.Node;

/// <summary>A node with its store, and a listener in miniature.</summary>
internal sealed class TestSilo
{
    public TestSilo(TestCluster cluster, SiloEntry entry, MemoryStore store, Random random)
    {
        Store = store;
        Name = entry.Name;
        Membership = new TestMembership(cluster, entry) { LoadOf = () => new SiloLoad { UsedBytes = UsedBytes } };
        Peers = new TestPeers(cluster, this);
        Node = new ClusterNode(cluster.Options, Membership, Peers, store, cluster.Loop.Time, random);
        Cluster = cluster;
    }

    public TestCluster Cluster { get; }

    public string Name { get; }

    public bool IsUp { get; set; } = true;

    public long UsedBytes { get; set; }

    public MemoryStore Store { get; }

    public TestMembership Membership { get; }

    public TestPeers Peers { get; }

    public ClusterNode Node { get; }

    public bool Has(TestBlock block) => Store.Has(HandleOf(block), block.Id);

    public ushort HandleOf(TestBlock block) => Store.OpenNamespace(block.Namespace).Value;

    /// <summary>Seals a block without asking anybody.</summary>
    public void Seal(TestBlock block) => Store.Set(HandleOf(block), block.ToStored());

    /// <summary>What a listener does with a put.</summary>
    public async Task<KvError?> PutAsync(TestBlock block, AckLevel ack = AckLevel.Memory, TimeSpan? deadline = null)
    {
        Admission admission = Node.Admit(block.Namespace, block.Group, AccessKind.Put);
        if (admission != Admission.Serve)
            return new KvError(admission == Admission.Moved ? ErrorCode.Moved : ErrorCode.Fenced, "group");
        Seal(block);
        return await Node.ReplicateAsync(
            HandleOf(block), new[] { block.Id }, new[] { block.Group }, ack, deadline ?? TimeSpan.FromSeconds(5));
    }

    /// <summary>What a listener does with a delete.</summary>
    public async Task<KvError?> DeleteAsync(TestBlock block)
    {
        Assert.Equal(Admission.Serve, Node.Admit(block.Namespace, block.Group, AccessKind.Change));
        Store.Remove(HandleOf(block), block.Id);
        return await Node.DeleteAsync(HandleOf(block), new[] { block.Id }, new[] { block.Group }, TimeSpan.FromSeconds(5));
    }

    /// <summary>What a listener does with a get.</summary>
    public async Task<byte[]?> GetAsync(TestBlock block)
    {
        ushort handle = HandleOf(block);
        if (Store.Get(handle, block.Id) is { } here) return here;
        if (!Node.MayBeElsewhere(block.Group)) return null;
        await Node.ReadThroughAsync(handle, new[] { block.Id }, new[] { block.Group }, TimeSpan.FromSeconds(2));
        return Store.Get(handle, block.Id);
    }
}
