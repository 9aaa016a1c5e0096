namespace KvTier.Cluster;

/// <summary>A group as the planner sees it.</summary>
/// <param name="Group">The group.</param>
/// <param name="Bytes">Payload bytes of its blocks.</param>
/// <param name="Copies">Silos that hold it, the owner included.</param>
/// <param name="ReadsPerSecond">How much it is read; what is read least goes first.</param>
public readonly record struct GroupLoad(BlockId Group, long Bytes, int Copies = 1, double ReadsPerSecond = 0);

/// <summary>Why a group is to be moved.</summary>
public enum MoveReason : byte
{
    /// <summary>A silo that holds it is above the high watermark, and the new one is below the low one.</summary>
    Lend,

    /// <summary>It was lent, its home has room again, and the silo that has it could do with the room.</summary>
    GiveBack,
}

/// <summary>A move that a plan asks for.</summary>
/// <param name="Group">The group.</param>
/// <param name="From">Name of its owner, which makes the move.</param>
/// <param name="To">Name of the silo that is to own it.</param>
/// <param name="Bytes">Bytes that are copied.</param>
/// <param name="Relieved">Name of the silo that has those bytes less afterwards: the owner, or the last of its replicas.</param>
/// <param name="Reason">Why.</param>
public sealed record PlannedMove(BlockId Group, string From, string To, long Bytes, string Relieved, MoveReason Reason)
{
    /// <summary>Why, in words.</summary>
    public string Why => Reason == MoveReason.Lend
        ? $"{Relieved} is above its high watermark, {To} below its low one"
        : $"{To} is where the group belongs, and has room again";
}

/// <summary>How full a silo is, now and after a plan.</summary>
/// <param name="Name">The silo.</param>
/// <param name="CapacityBytes">What it can hold.</param>
/// <param name="UsedBytes">What it holds.</param>
/// <param name="UsedBytesAfter">What it holds once the plan is carried out.</param>
public sealed record SiloOutlook(string Name, long CapacityBytes, long UsedBytes, long UsedBytesAfter);

/// <summary>What is to be moved, and what that does to each silo. Only data: nothing is done by making it.</summary>
/// <param name="Epoch">Epoch of the map that it was made from.</param>
/// <param name="Moves">The moves, in the order in which they are to be made. No group has two.</param>
/// <param name="Silos">The silos by name.</param>
public sealed record RebalancePlan(long Epoch, IReadOnlyList<PlannedMove> Moves, IReadOnlyList<SiloOutlook> Silos);
