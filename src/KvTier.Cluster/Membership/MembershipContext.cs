namespace KvTier.Cluster;

/// <summary>What the parts of a membership share.</summary>
internal sealed class MembershipContext
{
    private readonly Random random;
    private readonly Lock randomGate = new();
    private volatile KvError? problem;

    /// <summary>Puts the parts together; nothing runs yet.</summary>
    public MembershipContext(
        ClusterOptions options, SiloEntry self, IClusterEngine engine, IPeers peers, TimeProvider time, Random random)
    {
        Options = options;
        Self = self;
        Engine = engine;
        Peers = peers;
        this.random = random;
        Clock = new MonotonicClock(time);
        var map = new ClusterMap(options.Cluster, 0, 0, [], new ClusterSettings { Replicas = options.Replicas }, EmptyMoved);
        Authority = new Authority(self.Name, options.LeaseTtl, map);
        Keeper = new StateKeeper(new ClusterState(0, map, [], new Dictionary<string, SiloLoad>()), Authority, Clock);
        JoinWake = new Wake(Clock);
        RenewWake = new Wake(Clock);
        RefreshWake = new Wake(Clock);
        TendWake = new Wake(Clock);
        SettleWake = new Wake(Clock);
    }

    private static readonly Dictionary<BlockId, string> EmptyMoved = [];

    public ClusterOptions Options { get; }

    /// <summary>What the silo says of itself, with no epoch of joining.</summary>
    public SiloEntry Self { get; }

    /// <summary>What earlier starts of the silo knew of the cluster; set before the start.</summary>
    public ClusterTrace Before { get; set; }

    public IClusterEngine Engine { get; }

    public IPeers Peers { get; }

    public MonotonicClock Clock { get; }

    public Authority Authority { get; }

    public StateKeeper Keeper { get; }

    public CancellationTokenSource Stopping { get; } = new();

    public CancellationToken Stop => Stopping.Token;

    public Wake JoinWake { get; }

    public Wake RenewWake { get; }

    public Wake RefreshWake { get; }

    public Wake TendWake { get; }

    public Wake SettleWake { get; }

    /// <summary>
    /// True while the silo has a lease as far as it knows. Set by the joining, cleared by the renewing and the leaving only.
    /// </summary>
    public bool IsRegistered
    {
        get => Volatile.Read(ref registered);
        set => Volatile.Write(ref registered, value);
    }

    /// <summary>True from when the silo has begun to leave.</summary>
    public bool IsLeaving
    {
        get => Volatile.Read(ref leaving);
        set => Volatile.Write(ref leaving, value);
    }

    /// <summary>Why the silo is no member, or can't reach the engine; null while all is well.</summary>
    public KvError? Problem
    {
        get => problem;
        set => problem = value;
    }

    private bool registered;
    private bool leaving;

    /// <summary>Time for one call to the engine: the lease, but no more than is left.</summary>
    public TimeSpan CallTime(TimeSpan left) => left < Options.LeaseTtl ? left : Options.LeaseTtl;

    /// <summary>Pauses between attempts.</summary>
    public Backoff NewBackoff(TimeSpan first, TimeSpan longest) => new(Jitter, first, longest);

    /// <summary>A random number from 0 to 1.</summary>
    public double Jitter()
    {
        lock (randomGate) return random.NextDouble();
    }

    /// <summary>An epoch was heard of: when it is newer than the map, the state is read anew.</summary>
    public void Hear(long epoch)
    {
        if (Authority.Hear(epoch)) RefreshWake.Set();
    }

    /// <summary>True for errors that may pass by themselves.</summary>
    public static bool IsPassing(KvError error) =>
        error.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded or ErrorCode.Conflict or ErrorCode.Fenced or ErrorCode.Busy
            or ErrorCode.LeaseExpired;
}
