namespace KvTier.Cluster;

/// <summary>How far a move of a group is, at either of its two silos. For the log: nothing is decided by it.</summary>
public enum MoveStage : byte
{
    /// <summary>The silo that gives the group away is about to ask for room.</summary>
    Reserve,

    /// <summary>It is about to copy the blocks.</summary>
    Copy,

    /// <summary>It is about to copy what came meanwhile.</summary>
    CatchUp,

    /// <summary>It is about to propose the map in which the group is the other silo's.</summary>
    Switch,

    /// <summary>The group is the other silo's; what came until then is about to be copied.</summary>
    LastCatchUp,

    /// <summary>Its part is done but for dropping what it is not to hold any more.</summary>
    GivenAway,

    /// <summary>The move ended before the switch: the group stays where it was.</summary>
    GivenUp,

    /// <summary>It is about to drop the first of the blocks, which all holders have.</summary>
    Drop,

    /// <summary>The silo that gets the group keeps room for it.</summary>
    RoomKept,

    /// <summary>The first of its blocks came.</summary>
    Arriving,

    /// <summary>By the newest map the group is its own.</summary>
    Taken,

    /// <summary>It keeps no room any more: the move was given up, or nothing came for long.</summary>
    RoomFreed,
}
