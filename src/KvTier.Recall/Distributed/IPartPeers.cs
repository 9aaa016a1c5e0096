namespace KvTier.Recall;

/// <summary>
/// What sequences in a cluster need of it: who owns what, whether this silo may change something, and the way to the other silos. All
/// from the newest map that this silo knows. Thread-safe.
/// </summary>
public interface IPartPeers
{
    /// <summary>Name of this silo.</summary>
    string Self { get; }

    /// <summary>Epoch of the map.</summary>
    long Epoch { get; }

    /// <summary>Name of the silo that owns a group; null when there is no silo.</summary>
    string? OwnerOf(BlockId group);

    /// <summary>Names of the silos that hold a group of a namespace, the owner first.</summary>
    IReadOnlyList<string> HoldersOf(ushort ns, BlockId group);

    /// <summary>Names of all silos of the map that may still have what belongs to a group: its holders, and who held it before.</summary>
    IReadOnlyList<string> MayHave(ushort ns, BlockId group);

    /// <summary>Says whether this silo serves a group.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="group">The group.</param>
    /// <param name="change">True for changes, which need authority; false for questions.</param>
    /// <returns>Null when it does; <see cref="ErrorCode.Moved"/> with the owner's name, endpoint and epoch when another one does;
    /// <see cref="ErrorCode.Fenced"/> when it can't show that it may.</returns>
    KvError? Refuse(ushort ns, BlockId group, bool change);

    /// <summary>Asks a silo; ends by the deadline.</summary>
    ValueTask<Result<PartMessage>> CallAsync(string silo, PartMessage request, TimeSpan deadline);
}

/// <summary>A message between silos about sequences, or its answer.</summary>
/// <param name="Op">What is asked (<see cref="PartOps"/>).</param>
/// <param name="Epoch">Epoch of the sender's map.</param>
/// <param name="Body">Little-endian record of the operation.</param>
/// <param name="Payload">Raw bytes; the body has their CRC32C.</param>
public sealed record PartMessage(ushort Op, long Epoch, ReadOnlyMemory<byte> Body, ReadOnlyMemory<byte> Payload = default);

/// <summary>The operations. The numbers are part of the wire protocol, within those of sequences.</summary>
public static class PartOps
{
    /// <summary>What a silo has of a sequence's manifest; fences older owners.</summary>
    public const ushort Ask = 100;

    /// <summary>Takes a manifest in.</summary>
    public const ushort Put = 101;

    /// <summary>Builds the digests of a part.</summary>
    public const ushort Build = 103;

    /// <summary>Scores a part.</summary>
    public const ushort Score = 104;

    /// <summary>Ranks the units of a part that was scored.</summary>
    public const ushort Rank = 105;

    /// <summary>Recalls over a part: all of it, or the units that are named.</summary>
    public const ushort Recall = 106;

    /// <summary>Sums that tell how values follow keys.</summary>
    public const ushort Sums = 107;

    /// <summary>Takes in how values follow keys.</summary>
    public const ushort Maps = 108;

    /// <summary>Drops a part.</summary>
    public const ushort Drop = 109;
}
