namespace KvTier.Cluster;

/// <summary>Operations between silos that are about blocks. The numbers are part of the wire protocol.</summary>
internal static class BlockOps
{
    /// <summary>Which of these blocks are there (<see cref="IdsQuery"/>, answered by <see cref="IdsAnswer"/>).</summary>
    public const ushort Have = PeerOps.Blocks;

    /// <summary>Blocks themselves (<see cref="IdsQuery"/>, answered by <see cref="FetchAnswer"/> and their bytes).</summary>
    public const ushort Fetch = PeerOps.Blocks + 1;

    /// <summary>Room for a group that is to be moved (<see cref="ReserveRequest"/>, answered by nothing).</summary>
    public const ushort Reserve = PeerOps.Blocks + 2;

    /// <summary>Gives such room back (<see cref="ReserveRequest"/>, answered by nothing).</summary>
    public const ushort Release = PeerOps.Blocks + 3;

    /// <summary>Asks the owner to move a group (<see cref="MoveRequest"/>, answered by nothing).</summary>
    public const ushort Move = PeerOps.Blocks + 4;

    /// <summary>
    /// Groups that the receiver is to hold for a while as they are read much (<see cref="IdsQuery"/> with groups as ids).
    /// </summary>
    public const ushort Hot = PeerOps.Blocks + 5;

    /// <summary>What the receiver knows of mutable values (<see cref="IdsQuery"/>, answered by <see cref="ValuesAnswer"/>).</summary>
    public const ushort Values = PeerOps.Blocks + 6;

    /// <summary>Mutable values that the sender has of groups of the receiver (<see cref="IdsQuery"/>, answered by <see cref="IdsAnswer"/>
    /// with those that the sender is to drop).</summary>
    public const ushort Offer = PeerOps.Blocks + 7;

    /// <summary>Deletes copies of blocks (<see cref="IdsQuery"/>, answered by <see cref="IdsAnswer"/>: what was there).</summary>
    public const ushort Delete = PeerOps.Blocks + 8;

    /// <summary>As <see cref="Have"/>, of what is in the log, where there is one: what the sender may drop.</summary>
    public const ushort Keep = PeerOps.Blocks + 9;

    /// <summary>True for an operation that a node answers.</summary>
    public static bool IsOne(ushort op) => op is >= Have and <= Keep;
}
