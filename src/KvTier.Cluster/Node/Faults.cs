namespace KvTier.Cluster;

/// <summary>Rules that the simulation leaves out to show that it would notice. All are off but there.</summary>
internal sealed record Faults
{
    /// <summary>None.</summary>
    public static Faults None { get; } = new();

    /// <summary>A replica takes pushes of any epoch, whether it is to hold the group or not.</summary>
    public bool SkipPushFence { get; init; }

    /// <summary>A put is acknowledged as replicated when its copies are queued.</summary>
    public bool AckBeforeReplica { get; init; }

    /// <summary>A put is acknowledged as replicated although the map changed while it was copied.</summary>
    public bool SkipEpochRecheck { get; init; }

    /// <summary>A silo drops what isn't its own before the holders have confirmed that they have it.</summary>
    public bool DropUnconfirmed { get; init; }

    /// <summary>Older values that come by hand-over replace what was written or deleted since.</summary>
    public bool ForgetTouched { get; init; }

    /// <summary>Owners serve puts and changes without asking whether their lease holds.</summary>
    public bool SkipMayWrite { get; init; }
}
