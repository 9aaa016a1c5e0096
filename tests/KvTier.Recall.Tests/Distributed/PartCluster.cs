namespace KvTier.Recall.Tests.Distributed;

/// <summary>Several silos' sequences in one process, over one map that tests change.</summary>
internal sealed class PartCluster : IAsyncDisposable
{
    private readonly NamespaceDescriptor descriptor;
    private ClusterMap map = null!;

    private PartCluster(ModelProfile profile) => descriptor = new NamespaceDescriptor("default", profile);

    internal List<PartSilo> Silos { get; } = [];

    internal int Replicas { get; private init; } = 1;

    internal BlockLayout Layout => Silos[0].Store.Layout;

    internal ClusterMap Map => map;

    internal static async Task<PartCluster> StartAsync(
        int silos, ModelProfile? profile = null, int replicas = 1, bool durable = false, TimeProvider? time = null)
    {
        var cluster = new PartCluster(profile ?? Shapes.Gqa()) { Replicas = replicas };
        for (int i = 0; i < silos; i++)
            cluster.Silos.Add(await PartSilo.StartAsync(cluster, $"silo-{i}", cluster.descriptor.Profile, durable, time));
        cluster.Change([.. cluster.Silos.Select(silo => silo.Name)]);
        return cluster;
    }

    /// <summary>Makes the next map, of some silos.</summary>
    internal void Change(IReadOnlyList<string> names, IReadOnlyDictionary<BlockId, string>? moved = null)
    {
        long epoch = (map?.Epoch ?? 0) + 1;
        SiloEntry[] entries = [.. names.Select(name => new SiloEntry
        {
            Name = name,
            Endpoint = $"{name}:1",
            CapacityBytes = 1 << 30,
            Protocol = 1,
            DiskFormat = 2,
        })];
        map = new ClusterMap(
            "test", epoch, epoch, entries, new ClusterSettings { Replicas = Replicas }, moved ?? new Dictionary<BlockId, string>());
        foreach (PartSilo silo in Silos) silo.Peers.Map = map;
    }

    internal PartSilo Silo(string name) => Silos.Find(silo => silo.Name == name)!;

    internal PartSilo OwnerOf(BlockId group) => Silo(map.Silos[map.OwnerOf(group)].Name);

    /// <summary>The owner of a sequence.</summary>
    internal PartSilo Owner(string sequence) => OwnerOf(BlockGroups.OfSequence(descriptor.Id, sequence));

    /// <summary>Stores blocks where their groups belong.</summary>
    internal async Task<List<BlockId>> PutAsync(KvContext context, bool alone = false, IReadOnlyList<BlockId>? kept = null)
    {
        BlockPayload[] blocks = [.. context.Blocks()];
        BlockId[] ids = [.. blocks.Select(block => BlockId.Compute(descriptor.Id, System.Text.Encoding.ASCII.GetBytes(block.Key)))];
        kept?.ToArray().CopyTo(ids, 0);
        for (int i = kept?.Count ?? 0; i < ids.Length; i++)
        {
            BlockId group = alone ? ids[i] : ids[BlockGroups.HeadOf(i)];
            var holders = new int[Math.Min(Replicas, map.Silos.Count)];
            int count = map.FindHolders(group, holders);
            foreach (int holder in holders[..count]) await Silo(map.Silos[holder].Name).Store.PutAsync(blocks[i]);
        }

        return [.. ids];
    }

    internal async Task<List<BlockId>> AddAsync(string name, KvContext context, params DigestSpec[] digests)
    {
        List<BlockId> ids = await PutAsync(context);
        await OpenAsync(name, digests);
        await AppendAsync(name, ids, context.Tokens);
        return ids;
    }

    internal async Task<SequenceInfo> OpenAsync(string name, params DigestSpec[] digests)
    {
        PartSilo owner = Owner(name);
        Result<SequenceInfo> opened = await owner.Sequences.OpenAsync(
            new SequenceOpen
            {
                Namespace = owner.Store.Namespace,
                Name = name,
                Digests = digests.Length > 0 ? digests : [Shapes.Mean],
                Rotation = descriptor.Profile.Rope.PreRotation ? Shapes.Rotation : null,
            },
            RecallHarness.Guard);
        Assert.Null(opened.Error);
        return opened.Value;
    }

    internal async Task<SequenceInfo> AppendAsync(string name, IReadOnlyList<BlockId> ids, long tokens, bool replaceLast = false)
    {
        PartSilo owner = Owner(name);
        Result<SequenceInfo> appended = await owner.Sequences.AppendAsync(
            owner.Store.Namespace, name, ids.ToArray(), tokens, replaceLast, RecallHarness.Guard);
        Assert.Null(appended.Error);
        return appended.Value;
    }

    internal async Task<RecallAnswer> RecallAsync(RecallRequest request, TimeSpan? deadline = null)
    {
        PartSilo owner = Owner(request.Items[0].Sequence);
        Result<RecallAnswer> answer = await owner.Sequences.RecallAsync(
            request with { Namespace = owner.Store.Namespace }, deadline ?? RecallHarness.Guard);
        Assert.Null(answer.Error);
        return answer.Value;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (PartSilo silo in Silos) await silo.Store.DisposeAsync();
    }
}

/// <summary>One of the silos.</summary>
internal sealed class PartSilo
{
    private PartSilo(string name, RecallHarness store, DirectPeers peers)
    {
        Name = name;
        Store = store;
        Peers = peers;
    }

    internal string Name { get; }

    internal RecallHarness Store { get; }

    internal DirectPeers Peers { get; }

    internal SpreadSequences Sequences { get; private set; } = null!;

    internal static async Task<PartSilo> StartAsync(
        PartCluster cluster, string name, ModelProfile profile, bool durable, TimeProvider? time)
    {
        var peers = new DirectPeers(cluster, name);
        SpreadSequences? sequences = null;
        RecallHarness store = await RecallHarness.StartAsync(
            profile, new RecallOptions { HotSetBytes = 1 << 20, Workers = 1, RunsEndAtGroups = true }, durable: durable, time: time,
            join: recall => sequences = new SpreadSequences(recall, peers));
        peers.Descriptors = () => store.Engine.Namespaces;
        return new PartSilo(name, store, peers) { Sequences = sequences! };
    }
}
