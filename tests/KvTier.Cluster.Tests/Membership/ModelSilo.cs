namespace KvTier.Cluster.Tests;

/// <summary>A silo of a <see cref="ModelCluster"/>: its membership, and nothing else.</summary>
internal sealed class ModelSilo : IPeers
{
    private readonly ModelCluster cluster;
    private readonly string name;

    public ModelSilo(ModelCluster cluster, string name, ModelSession session, Random random, SiloEntry? entry = null)
    {
        this.cluster = cluster;
        this.name = name;
        Session = session;
        Membership = new Membership(cluster.Options, entry ?? Entry(name), session, this, cluster.Time, random);
        Membership.OnMap = (before, after) => Maps.Add((before.Epoch, after.Epoch));
    }

    public ModelSession Session { get; }

    public Membership Membership { get; }

    /// <summary>Epochs of every change that was called back.</summary>
    public List<(long Before, long After)> Maps { get; } = [];

    /// <summary>True when it was killed: nothing that it still does counts.</summary>
    public bool IsDead { get; set; }

    /// <summary>True while it answers nobody.</summary>
    public bool IsStopped { get; set; }

    public static SiloEntry Entry(string name) => new()
    {
        Name = name,
        Endpoint = $"{name}:7411",
        CapacityBytes = 1 << 30,
        Protocol = 1,
        DiskFormat = 1,
    };

    public ValueTask<Result<PeerMessage>> CallAsync(SiloEntry to, PeerMessage request, TimeSpan deadline) =>
        cluster.CallAsync(name, to, request, deadline);

    public ValueTask<Result<PushReply>> PushAsync(SiloEntry to, PushBatch batch, TimeSpan deadline) =>
        throw new NotSupportedException("membership pushes no blocks");
}
