namespace KvTier.Cluster;

/// <summary>
/// A silo's part in the cluster: what it serves, what it copies to others and fetches from them. The listeners ask it before they touch
/// the engine; outside of a cluster there is none and nothing is asked. Thread-safe.
/// </summary>
public sealed class ClusterNode : IPeerHandler, IAsyncDisposable
{
    private static readonly TimeSpan stopLongest = TimeSpan.FromSeconds(5);

    private readonly NodeContext node;
    private readonly Admissions admissions;
    private readonly Replicator replicator;
    private readonly ReplicaQueue queue;
    private readonly HandOverLoop handOver;
    private readonly ReadThrough readThrough;
    private readonly Settling settling;
    private readonly HotGroups hotGroups;
    private readonly HotHeld hotHeld;
    private readonly Reservations reservations;
    private readonly LostSilos lost;
    private readonly MutableState mutable;
    private readonly MutableValues values;
    private readonly MutableCleaner cleaner;
    private readonly Deleter deleter;
    private readonly Migrator migrator;
    private readonly Lender lender;
    private readonly Housekeeping housekeeping;
    private readonly BlockCalls blockCalls;
    private readonly List<Task> loops = [];

    /// <summary>
    /// Makes a node; nothing runs before <see cref="Start"/>. It hooks itself into the membership: what was set there as
    /// <see cref="IMembership.OnMap"/> and <see cref="IMembership.LoadOf"/> before is called first, and the load gets
    /// <see cref="SiloLoad.SettledEpoch"/>.
    /// </summary>
    /// <param name="options">How; checked by the caller.</param>
    /// <param name="membership">This silo's membership; not owned.</param>
    /// <param name="peers">The way to the others.</param>
    /// <param name="store">This silo's blocks.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Of jitter and choice; seeded in tests.</param>
    public ClusterNode(
        ClusterOptions options, IMembership membership, IPeers peers, IBlockStore store, TimeProvider time, Random random)
    {
        node = new NodeContext
        {
            Options = options,
            Membership = membership,
            Peers = peers,
            Store = store,
            Time = time,
            Random = random,
        };
        var calls = new PeerCalls(node);
        var budget = new CopyBudget(node);
        var copy = new GroupCopy(node, calls, budget);
        hotHeld = new HotHeld(node);
        reservations = new Reservations(node);
        settling = new Settling(node);
        var earlier = new EarlierHolders(node, settling);
        mutable = new MutableState(node, settling);
        handOver = new HandOverLoop(node, calls, settling, hotHeld, reservations, budget, mutable);
        values = new MutableValues(node, mutable, settling, new ValueFetch(node, calls, mutable, settling, earlier, handOver));
        cleaner = new MutableCleaner(node, mutable, values);
        hotGroups = new HotGroups(node, calls, copy);
        lost = new LostSilos(node);
        admissions = new Admissions(node, reservations, hotHeld);
        queue = new ReplicaQueue(node, calls, hotGroups, handOver);
        replicator = new Replicator(node, calls, queue);
        readThrough = new ReadThrough(node, calls, settling, earlier, handOver);
        deleter = new Deleter(node, calls, settling, earlier);
        migrator = new Migrator(node, calls, copy);
        lender = new Lender(node, migrator, hotGroups);
        housekeeping = new Housekeeping(node, hotHeld, reservations, handOver);
        blockCalls = new BlockCalls(node, mutable, values, hotHeld, new Reserving(node, reservations, migrator, handOver));
        membership.OnMap += OnMap;
        Func<SiloLoad>? loadOf = membership.LoadOf;
        membership.LoadOf = () => (loadOf?.Invoke() ?? new SiloLoad()) with { SettledEpoch = settling.OwnEpoch };
    }

    /// <summary>The newest map this silo knows.</summary>
    public ClusterMap Map => node.Map;

    /// <summary>Epoch of the newest map under which this silo has handed over everything that others own; 0 for none.</summary>
    public long SettledEpoch => settling.OwnEpoch;

    /// <summary>Figures since the start.</summary>
    public ClusterStats Stats => node.Counters.ToStats() with
    {
        QueuedBlocks = queue.Count,
        IsSettled = handOver.IsIdle,
        SettledEpoch = settling.OwnEpoch,
        Reservations = reservations.Count,
        ReservedBytes = reservations.Bytes,
        HotGroups = hotGroups.Count,
        HotHeld = hotHeld.Count,
    };

    /// <summary>
    /// Called with each stage of a move that this silo takes part in, the group and the other silo, just before what the stage names is
    /// done; by the thread that does it, so it must not take long. Null for nobody, the default. Set before the start.
    /// </summary>
    public Action<MoveStage, BlockId, string>? OnMove
    {
        get => node.Moves.Listener;
        set => node.Moves.Listener = value;
    }

    /// <summary>Rules left out by the simulation to show that it would notice. Set before the start.</summary>
    internal Faults Faults
    {
        get => node.Faults;
        set => node.Faults = value;
    }

    /// <summary>Called before each step of a move that this silo makes; tests and the simulation end it there.</summary>
    internal Func<MigrationStep, BlockId, ValueTask>? OnStep
    {
        get => migrator.OnStep;
        set => migrator.OnStep = value;
    }

    /// <summary>Starts the work in the background: hand-over, replication that is not waited for, hot prefixes, lending. The loops run
    /// where they are started: on the caller's synchronization context if there is one, else on the thread pool.</summary>
    public void Start()
    {
        mutable.Start(node.Map);
        loops.Add(handOver.RunAsync());
        loops.Add(queue.RunAsync());
        loops.Add(cleaner.RunAsync());
        loops.Add(hotGroups.RunAsync());
        loops.Add(housekeeping.RunAsync());
        loops.Add(lender.RunAsync());
    }

    /// <summary>
    /// Says what is to be done with a request about a group. Allocates nothing. Who changes a value of a mutable namespace asks again
    /// after the change and before the answer: what another silo owned by then was not changed for sure.
    /// </summary>
    /// <remarks>A silo that is told <see cref="Admission.Moved"/> for reads may still serve blocks that it has, other than of a mutable
    /// namespace: they are what their keys say. A miss is then put down to <see cref="MissReason.Moved"/>.</remarks>
    public Admission Admit(NamespaceDescriptor ns, BlockId group, AccessKind kind) => admissions.Of(ns, group, kind);

    /// <summary>The same for blocks that another silo pushes. A sender with a newer map is waited for by <see cref="CatchUpAsync"/> first.
    /// </summary>
    /// <param name="role">Why they come.</param>
    /// <param name="epoch">The sender's epoch.</param>
    /// <param name="ns">Their namespace.</param>
    /// <param name="group">Their group.</param>
    public Admission AdmitPush(PushRole role, long epoch, NamespaceDescriptor ns, BlockId group) =>
        admissions.OfPush(role, epoch, ns, group);

    /// <summary>Waits, for a short time, until this silo's map is as new as that of whoever asks.</summary>
    public ValueTask CatchUpAsync(long epoch) => Map.Epoch >= epoch ? default : WaitForEpochAsync(epoch);

    /// <summary>
    /// Copies blocks that were just sealed to the other holders of their groups. With <see cref="AckLevel.Replica"/> it ends when all have
    /// them; otherwise the copies are queued and it ends at once.
    /// </summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="ids">The blocks.</param>
    /// <param name="groups">Their groups; none when each is its own. With <see cref="AckLevel.Replica"/> both stay until it ends.</param>
    /// <param name="ack">How far the put is to come.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>Null, or why not all holders have them: field <c>ack</c>, what is missing, and what was asked for.</returns>
    public ValueTask<KvError?> ReplicateAsync(
        ushort ns, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, AckLevel ack, TimeSpan deadline) =>
        replicator.ReplicateAsync(ns, ids, groups, ack, deadline);

    /// <summary>
    /// Deletes the copies of blocks that this silo, their owner, has deleted: at the other holders and, while silos have not handed over,
    /// at those that held them before. Does nothing for mutable namespaces, which have no copies.
    /// </summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="ids">The blocks.</param>
    /// <param name="groups">Their groups; none when each is its own. Both stay until it ends.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>Null when no holder has them; else which could not be asked: it may keep its copy, and a walk may bring it back.</returns>
    public ValueTask<KvError?> DeleteAsync(
        ushort ns, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, TimeSpan deadline) =>
        deleter.RunAsync(ns, ids, groups, deadline);

    /// <summary>
    /// Notes that a block was stored, whether for a client or for another silo. When the map has changed since it was admitted, the
    /// hand-over that followed may have passed it by; when another silo has handed it over, other holders may lack it still: its group is
    /// looked at again. Costs nothing for other blocks.
    /// </summary>
    /// <param name="ns">Handle of its namespace.</param>
    /// <param name="group">Its group.</param>
    /// <param name="admittedAt">Epoch of the map by which it was admitted.</param>
    /// <param name="role">Why another silo has pushed it; null when a client has put it.</param>
    public void NoteStored(ushort ns, BlockId group, long admittedAt, PushRole? role) =>
        handOver.NoteStored(ns, group, admittedAt, isFromOther: role == PushRole.HandOver);

    /// <summary>True when blocks of a group may still be with silos that held it before: then a miss asks them first.</summary>
    public bool MayBeElsewhere(BlockId group) => settling.MayBeElsewhere(group);

    /// <summary>Fetches blocks that are not here from the silos that held their groups before, into this silo's store.</summary>
    /// <returns>How many of them are here then, however they came.</returns>
    public ValueTask<int> ReadThroughAsync(
        ushort ns, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, TimeSpan deadline) =>
        readThrough.RunAsync(ns, ids, groups, deadline);

    /// <summary>The reason of a miss as the cluster sees it: what a lost silo took with it is <see cref="MissReason.OwnerLost"/>.</summary>
    public MissReason ReasonOf(BlockId group, MissReason local) =>
        local == MissReason.NeverStored && lost.HaveHeld(group) ? MissReason.OwnerLost : local;

    /// <summary>
    /// Readies a value of a mutable namespace for what is about to be done with it: while the silo that owned it before may still have it,
    /// it is brought here, or noted as replaced. Costs nothing once all silos have handed over. Called after <see cref="Admit"/> and before
    /// each read and change of a key.
    /// </summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="id">The value; it is a group of its own.</param>
    /// <param name="access">What is about to be done.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>Null when this silo's value is the newest, or there is none; <see cref="ErrorCode.Unavailable"/> when an earlier owner
    /// could not be asked: nothing may be read or changed then, and a later try may succeed.</returns>
    public ValueTask<KvError?> PrepareAsync(ushort ns, BlockId id, ValueAccess access, TimeSpan deadline) =>
        values.PrepareAsync(ns, id, access, deadline);

    /// <summary>Notes a read of a group, for the rate above which it is replicated once more.</summary>
    public void NoteRead(ushort ns, BlockId group) => hotGroups.Note(ns, group);

    /// <summary>Silos of the rendezvous order that hold a group now, the owner included: more than its replicas while it is hot.</summary>
    public int CopiesOf(NamespaceDescriptor ns, BlockId group)
    {
        ClusterMap map = Map;
        int copies = hotGroups.Copies(map.Settings.ReplicasOf(ns), group);
        return Holders.Of(map, copies, group).Count;
    }

    /// <summary>Moves a group to another silo: reserves there, copies, switches in one change of the map, drops.</summary>
    public ValueTask<KvError?> MoveAsync(BlockId group, string silo, TimeSpan deadline) => migrator.MoveAsync(group, silo, deadline);

    /// <summary>Plans which of this silo's groups others are to take, or to get back; nothing is moved.</summary>
    /// <param name="movesMax">Most moves.</param>
    public ValueTask<RebalancePlan> PlanRebalanceAsync(int movesMax = 1000) => lender.PlanAsync(movesMax);

    /// <summary>Carries a plan out, one move after another.</summary>
    /// <returns>How many moves were made; and why not all, null when all were.</returns>
    public ValueTask<(int Made, KvError? Error)> RebalanceAsync(RebalancePlan plan, TimeSpan deadline) =>
        lender.CarryOutAsync(plan, deadline);

    /// <inheritdoc/>
    public ValueTask<Result<PeerMessage>> OnCallAsync(string from, PeerMessage request, TimeSpan deadline) =>
        blockCalls.AnswerAsync(from, request, deadline);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        node.Stop.Cancel();
        handOver.Wake();
        queue.Wake();
        cleaner.Wake();
        hotGroups.Wake();
        await NodeWaiting.ForAsync(Task.WhenAll(loops), stopLongest, node.Time);
    }

    private void OnMap(ClusterMap before, ClusterMap after)
    {
        lost.OnMap(before, after);
        settling.OnMap(before, after);
        mutable.OnMap(before, after);
        node.ForgetOthers(after);
        foreach (BlockId group in reservations.TakeUnused(after)) handOver.Owe(group);
        handOver.OnMap(after);
        cleaner.Wake();
        hotGroups.Wake();
    }

    private async ValueTask WaitForEpochAsync(long epoch) => await node.CatchUpAsync(epoch, node.Options.CatchUp);
}
