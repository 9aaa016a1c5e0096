using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Silo.Metrics;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Clustering;

/// <summary>
/// The silo's part in its cluster, put together: engine, membership, node and the way to the other silos. The listeners ask it; outside of
/// a cluster there is none.
/// </summary>
internal sealed class SiloCluster : IPeerHandler, IAsyncDisposable
{
    private readonly SiloOptions options;
    private readonly IClusterEngine engine;
    private readonly WirePeers peers;
    private readonly EngineBlockStore store;
    private readonly MapNotes notes;
    private readonly TimeProvider time;
    private readonly ILogger logger;

    private SiloCluster(
        SiloOptions options, SiloEntry self, IClusterEngine engine, SiloStore silo, SiloMetrics metrics, TimeProvider time, ILogger logger)
    {
        this.options = options;
        this.engine = engine;
        this.time = time;
        this.logger = logger;
        var random = new Random();
        ClusterOptions how = options.Cluster.ToClusterOptions();
        peers = new WirePeers(
            new PeerDial(options.Name, options.Cluster.Token ?? options.Token, options.SocketBufferBytes, time), metrics.Cluster, logger);
        store = new EngineBlockStore(silo.Engine, silo.Namespaces.Open, options.Limits, time);
        Membership = new Membership(how, self, engine, peers, time, new Random(random.Next()))
        {
            LoadOf = new LoadMeter(silo.Engine, metrics, time).Read,
        };
        notes = new MapNotes(silo.Directory, logger);
        Node = new ClusterNode(how, Membership, peers, store, time, new Random(random.Next())) { OnMove = new MoveLog(logger).Tell };
        Admin = new ClusterAdmin(Membership, Node, new Rebalancer(Membership, Node, peers, time), time);
        Counters = metrics.Cluster;
        Membership.OnMap += OnMap;
    }

    /// <summary>This silo's membership.</summary>
    public Membership Membership { get; }

    /// <summary>What this silo serves, copies and fetches.</summary>
    public ClusterNode Node { get; }

    /// <summary>What operators ask.</summary>
    public ClusterAdmin Admin { get; }

    /// <summary>What is counted.</summary>
    public ClusterCounters Counters { get; }

    /// <summary>The way to the other silos.</summary>
    public WirePeers Peers => peers;

    /// <summary>The newest map this silo knows.</summary>
    public ClusterMap Map => Membership.State.Map;

    /// <summary>True while the silo is in its map.</summary>
    public bool IsMember => Map.IndexOf(options.Name) >= 0;

    /// <summary>Answers operations of sequences; set before the start.</summary>
    public IPeerHandler? Sequences { get; set; }

    /// <summary>Answers operations of engines; set before the start.</summary>
    public IPeerHandler? Engines { get; set; }

    /// <summary>Makes the parts; nothing runs and nobody is asked before <see cref="JoinAsync"/>.</summary>
    public static Result<SiloCluster> Create(
        SiloOptions options, SiloEntry self, SiloStore silo, SiloMetrics metrics, TimeProvider time, ILogger logger)
    {
        Result<EtcdEngine> made = EtcdEngine.Create(EtcdOptionsOf(options.Cluster), options.Cluster.ToClusterOptions(), time);
        if (!made.TryGet(out EtcdEngine? engine, out KvError? error)) return error;
        return new SiloCluster(options, self, engine, silo, metrics, time, logger);
    }

    /// <summary>Joins the cluster and starts the work in the background. The silo answers other silos already.</summary>
    /// <param name="restoredEpoch">The highest epoch in what the silo has restored.</param>
    /// <returns>Null when the silo is a member, else why it can't be one.</returns>
    public async Task<KvError?> JoinAsync(long restoredEpoch)
    {
        if (!notes.Read().TryGet(out ClusterTrace before, out KvError? unread)) return unread;
        Membership.Before = before.Raise(restoredEpoch);
        var deadline = TimeSpan.FromMilliseconds(options.Cluster.JoinDeadlineMs);
        logger.Joining(options.Cluster.Name, string.Join(", ", options.Cluster.Etcd));
        if (await Membership.StartAsync(deadline) is { } error) return JoinErrors.Explain(error, options);
        Node.Start();
        logger.Joined(options.Name, Map.Cluster, Map.Epoch, Map.Silos.Count);
        return null;
    }

    /// <summary>Leaves the cluster, and goes on answering who owns what for a short grace.</summary>
    /// <param name="deadline">Time for all of it.</param>
    /// <returns>Null, or why others must wait until the lease has run out.</returns>
    public async Task<KvError?> LeaveAsync(TimeSpan deadline)
    {
        long start = time.GetTimestamp();
        KvError? error = await Membership.LeaveAsync(deadline);
        if (error is not null) logger.LeaveFailed(error.Message);
        TimeSpan grace = TimeSpan.FromMilliseconds(options.Cluster.LeaveGraceMs), left = deadline - time.GetElapsedTime(start);
        if (Map.Silos.Count > 0 && left > TimeSpan.Zero) await Task.Delay(grace < left ? grace : left, time);
        return error;
    }

    /// <inheritdoc/>
    public ValueTask<Result<PeerMessage>> OnCallAsync(string from, PeerMessage request, TimeSpan deadline) => request.Op switch
    {
        < PeerOps.Blocks => Membership.OnCallAsync(from, request, deadline),
        < PeerOps.Sequences => Node.OnCallAsync(from, request, deadline),
        < PeerOps.Engines when Sequences is { } sequences => sequences.OnCallAsync(from, request, deadline),
        >= PeerOps.Engines when Engines is { } engines => engines.OnCallAsync(from, request, deadline),
        _ => ValueTask.FromResult<Result<PeerMessage>>(new KvError(ErrorCode.Unsupported, "peer.op", $"{request.Op}",
            "an operation that this silo knows")),
    };

    /// <summary>The cluster as this silo sees it.</summary>
    public ClusterStatus Status() =>
        StatusBuilder.Build(options.Name, Membership.State, Membership.MayWrite, Membership.Problem, Figures());

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        await Membership.DisposeAsync();
        peers.Dispose();
        await engine.DisposeAsync();
        await notes.WhenWrittenAsync();
    }

    private static EtcdOptions EtcdOptionsOf(SiloClusterSettings cluster) => new()
    {
        Endpoints = [.. cluster.Etcd.Select(url => new Uri(url))],
        Prefix = cluster.EtcdPrefix,
        User = cluster.EtcdUser,
        Password = cluster.EtcdPassword,
        CaFile = cluster.EtcdCa,
        CertificateFile = cluster.EtcdCert,
        KeyFile = cluster.EtcdKey,
    };

    private Dictionary<string, long> Figures() => new(StringComparer.Ordinal)
    {
        ["movedAnswers"] = Node.Stats.Moved,
        ["fencedAnswers"] = Node.Stats.Fenced,
        ["pushedBlocks"] = Node.Stats.PushedBlocks,
        ["pushedBytes"] = Node.Stats.PushedBytes,
        ["queuedBlocks"] = Node.Stats.QueuedBlocks,
        ["readThroughBlocks"] = Node.Stats.ReadThroughBlocks,
        ["walkedBlocks"] = Node.Stats.WalkedBlocks,
        ["handedOverBlocks"] = Node.Stats.HandedOverBlocks,
        ["droppedBlocks"] = Node.Stats.Dropped,
        ["migrations"] = Node.Stats.MigrationsDone,
        ["reservations"] = Node.Stats.Reservations,
        ["peerErrors"] = Counters.PeerErrors,
        ["forwardedCommands"] = Counters.Forwarded,
    };

    private void OnMap(ClusterMap before, ClusterMap after)
    {
        peers.Keep(after);
        notes.Note(after);
        logger.MapChanged(after.Epoch, after.Silos.Count, after.Moved.Count);
        if (before.IndexOf(options.Name) >= 0 && after.IndexOf(options.Name) < 0) logger.NoMember(after.Epoch);
    }
}
