namespace KvTier.Cluster;

/// <summary>What somebody wants of a group.</summary>
public enum AccessKind : byte
{
    /// <summary>Reads blocks.</summary>
    Read,

    /// <summary>Stores blocks that are what their keys say.</summary>
    Put,

    /// <summary>Changes what has an owner: values of a mutable namespace, sequences.</summary>
    Change,
}

/// <summary>What a silo does with a request about a group.</summary>
public enum Admission : byte
{
    /// <summary>It serves it.</summary>
    Serve,

    /// <summary>It is not the owner: <see cref="ErrorCode.Moved"/>.</summary>
    Moved,

    /// <summary>It can't show that it still is the owner: <see cref="ErrorCode.Fenced"/>.</summary>
    Fenced,
}

/// <summary>
/// A silo's part in the cluster: what it serves, what it copies to others and fetches from them. The listeners ask it before they touch
/// the engine; outside of a cluster there is none and nothing is asked.
/// </summary>
public sealed class ClusterNode : IPeerHandler, IAsyncDisposable
{
    /// <summary>Makes a node; nothing runs before <see cref="Start"/>.</summary>
    /// <param name="options">How; checked by the caller.</param>
    /// <param name="membership">This silo's membership; not owned.</param>
    /// <param name="peers">The way to the others.</param>
    /// <param name="store">This silo's blocks.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Of jitter and choice; seeded in tests.</param>
    public ClusterNode(
        ClusterOptions options, IMembership membership, IPeers peers, IBlockStore store, TimeProvider time, Random random) =>
        throw new NotImplementedException();

    /// <summary>The newest map this silo knows.</summary>
    public ClusterMap Map => throw new NotImplementedException();

    /// <summary>Starts the work in the background: hand-over, replication that is not waited for, hot prefixes, lending.</summary>
    public void Start() => throw new NotImplementedException();

    /// <summary>Says what is to be done with a request about a group. Allocates nothing.</summary>
    public Admission Admit(NamespaceDescriptor ns, BlockId group, AccessKind kind) => throw new NotImplementedException();

    /// <summary>The same for blocks that another silo pushes.</summary>
    /// <param name="role">Why they come.</param>
    /// <param name="epoch">The sender's epoch.</param>
    /// <param name="ns">Their namespace.</param>
    /// <param name="group">Their group.</param>
    public Admission AdmitPush(PushRole role, long epoch, NamespaceDescriptor ns, BlockId group) => throw new NotImplementedException();

    /// <summary>Waits, for a short time, until this silo's map is as new as that of whoever asks.</summary>
    public ValueTask CatchUpAsync(long epoch) => throw new NotImplementedException();

    /// <summary>
    /// Copies blocks that were just sealed to the other holders of their groups. With <see cref="AckLevel.Replica"/> it ends when all have
    /// them; otherwise the copies are queued and it ends at once.
    /// </summary>
    /// <returns>Null, or why not all holders have them: field <c>ack</c>, what is missing, and what was asked for.</returns>
    public ValueTask<KvError?> ReplicateAsync(
        ushort ns, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, AckLevel ack, TimeSpan deadline) =>
        throw new NotImplementedException();

    /// <summary>True when blocks of a group may still be with silos that held it before: then a miss asks them first.</summary>
    public bool MayBeElsewhere(BlockId group) => throw new NotImplementedException();

    /// <summary>Fetches blocks that are not here from the silos that held their groups before, into this silo's store.</summary>
    /// <returns>How many came.</returns>
    public ValueTask<int> ReadThroughAsync(
        ushort ns, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, TimeSpan deadline) => throw new NotImplementedException();

    /// <summary>The reason of a miss as the cluster sees it: what a lost silo took with it is <see cref="MissReason.OwnerLost"/>.</summary>
    public MissReason ReasonOf(BlockId group, MissReason local) => throw new NotImplementedException();

    /// <summary>Notes a read of a group, for the rate above which it is replicated once more.</summary>
    public void NoteRead(ushort ns, BlockId group) => throw new NotImplementedException();

    /// <summary>Silos of the rendezvous order that hold a group now, the owner included: more than its replicas while it is hot.</summary>
    public int CopiesOf(NamespaceDescriptor ns, BlockId group) => throw new NotImplementedException();

    /// <summary>Moves a group to another silo: reserves there, copies, switches in one change of the map, drops.</summary>
    public ValueTask<KvError?> MoveAsync(BlockId group, string silo, TimeSpan deadline) => throw new NotImplementedException();

    /// <inheritdoc/>
    public ValueTask<Result<PeerMessage>> OnCallAsync(string from, PeerMessage request, TimeSpan deadline) =>
        throw new NotImplementedException();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
