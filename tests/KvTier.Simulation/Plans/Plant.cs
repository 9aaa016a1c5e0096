using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>Bugs that are put in on purpose, to show that the simulation finds them.</summary>
public enum Plant
{
    /// <summary>None.</summary>
    None,

    /// <summary>Owners change values without asking whether their lease holds.</summary>
    FenceLeftOut,

    /// <summary>A put is acknowledged as replicated when its copies are queued.</summary>
    AckBeforeReplica,

    /// <summary>A put is acknowledged as durable before its log record is committed.</summary>
    AckBeforeCommit,

    /// <summary>A silo drops what is not its own before its holders have confirmed that they have it.</summary>
    DropUnconfirmed,

    /// <summary>A miss of what others may still have is answered at once.</summary>
    NoReadThrough,

    /// <summary>A change of a value is acknowledged without asking again whether the group is still the silo's own.</summary>
    NoSecondLook,

    /// <summary>A silo takes blocks that others push whatever the sender's epoch, and whether it is to hold them or not.</summary>
    PushFenceLeftOut,
}

/// <summary>How bugs are put in.</summary>
internal static class Plants
{
    /// <summary>The rules that a node leaves out.</summary>
    internal static Faults FaultsOf(Plant plant) => plant switch
    {
        Plant.FenceLeftOut => new Faults { SkipMayWrite = true },
        Plant.AckBeforeReplica => new Faults { AckBeforeReplica = true },
        Plant.DropUnconfirmed => new Faults { DropUnconfirmed = true },
        Plant.PushFenceLeftOut => new Faults { SkipPushFence = true },
        _ => Faults.None,
    };
}
