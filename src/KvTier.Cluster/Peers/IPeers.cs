namespace KvTier.Cluster;

/// <summary>The way to the other silos. Every call ends by its deadline; an error says nothing of whether the other side did it.</summary>
public interface IPeers
{
    /// <summary>Asks a silo something that needs no blocks moved into its memory.</summary>
    ValueTask<Result<PeerMessage>> CallAsync(SiloEntry to, PeerMessage request, TimeSpan deadline);

    /// <summary>Puts blocks of this silo on another one. Their bytes go from the arena to the socket, and there into the arena.</summary>
    ValueTask<Result<PushReply>> PushAsync(SiloEntry to, PushBatch batch, TimeSpan deadline);
}

/// <summary>Answers what other silos ask.</summary>
public interface IPeerHandler
{
    /// <summary>Answers a call.</summary>
    /// <param name="from">Name of the silo that asks.</param>
    /// <param name="request">What it asks. Valid until the answer is given.</param>
    /// <param name="deadline">Time for it.</param>
    ValueTask<Result<PeerMessage>> OnCallAsync(string from, PeerMessage request, TimeSpan deadline);
}

/// <summary>A call or its answer. What the body means is the matter of the operation (see <see cref="PeerOps"/>).</summary>
/// <param name="Op">The operation.</param>
/// <param name="Epoch">The sender's epoch.</param>
/// <param name="Body">MessagePack.</param>
/// <param name="Payload">Raw bytes, at most <see cref="PayloadBytesMax"/>.</param>
public sealed record PeerMessage(ushort Op, long Epoch, ReadOnlyMemory<byte> Body, ReadOnlyMemory<byte> Payload = default)
{
    /// <summary>Most bytes of a payload.</summary>
    public const int PayloadBytesMax = 64 << 20;
}

/// <summary>Ranges of operations. The numbers are part of the wire protocol.</summary>
public static class PeerOps
{
    /// <summary>First operation of membership: confirmations while the engine is away.</summary>
    public const ushort Membership = 1;

    /// <summary>First operation of blocks: who has what, fetching, reserving, settling.</summary>
    public const ushort Blocks = 20;

    /// <summary>First operation of sequences: manifests, parts, distributed recall.</summary>
    public const ushort Sequences = 100;

    /// <summary>First operation of what engines say of themselves.</summary>
    public const ushort Engines = 200;
}

/// <summary>Why blocks come from another silo. The numbers are part of the wire protocol (<c>role</c>).</summary>
public enum PushRole : byte
{
    /// <summary>A put that is being replicated.</summary>
    Replica = 1,

    /// <summary>Blocks handed to a silo that is to hold them: after a change of members, in a migration, or a hot prefix.</summary>
    HandOver = 2,
}

/// <summary>Blocks of one namespace on their way to another silo.</summary>
/// <param name="Namespace">The namespace.</param>
/// <param name="Role">Why.</param>
/// <param name="Epoch">The sender's epoch: a receiver that knows better refuses.</param>
/// <param name="Blocks">The blocks; their memory stays until the call ends.</param>
public sealed record PushBatch(NamespaceDescriptor Namespace, PushRole Role, long Epoch, IReadOnlyList<StoredBlock> Blocks);

/// <summary>What became of a pushed block. The numbers are part of the wire protocol.</summary>
public enum PushStatus : byte
{
    /// <summary>It is stored there.</summary>
    Stored = 0,

    /// <summary>It was there already.</summary>
    Present = 1,

    /// <summary>It was refused, for want of room or as its bytes failed their check.</summary>
    Refused = 2,

    /// <summary>The receiver is not to hold it: the sender's map is old, or newer than the receiver's.</summary>
    Moved = 3,
}

/// <summary>What became of a push.</summary>
/// <param name="Epoch">The receiver's epoch.</param>
/// <param name="Statuses">One for each block.</param>
/// <param name="Error">Why the first refused one was; null when none was.</param>
public sealed record PushReply(long Epoch, IReadOnlyList<PushStatus> Statuses, KvError? Error);
