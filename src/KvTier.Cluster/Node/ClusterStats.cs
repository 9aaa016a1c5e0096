namespace KvTier.Cluster;

/// <summary>Figures of a node since its start; those that go up and down say so.</summary>
public sealed record ClusterStats
{
    /// <summary>Pushes to other silos.</summary>
    public long Pushes { get; init; }

    /// <summary>Blocks that other silos stored of them.</summary>
    public long PushedBlocks { get; init; }

    /// <summary>Bytes of these blocks.</summary>
    public long PushedBytes { get; init; }

    /// <summary>Pushes that came to no answer.</summary>
    public long PushFailures { get; init; }

    /// <summary>Blocks that others refused, for want of room or as they failed their check.</summary>
    public long PushesRefused { get; init; }

    /// <summary>Blocks acknowledged as replicated.</summary>
    public long ReplicaAcks { get; init; }

    /// <summary>Blocks that were asked to be replicated before the answer, and were not.</summary>
    public long ReplicaFailures { get; init; }

    /// <summary>Blocks that wait to be copied. Goes up and down.</summary>
    public long QueuedBlocks { get; init; }

    /// <summary>Blocks that found the queue of copies full and are left to the walk.</summary>
    public long QueueOverflow { get; init; }

    /// <summary>Blocks that could not be copied from the queue and are left to the walk.</summary>
    public long LeftToWalk { get; init; }

    /// <summary>Misses for which other silos were asked.</summary>
    public long ReadThroughAsked { get; init; }

    /// <summary>Blocks that came so.</summary>
    public long ReadThroughBlocks { get; init; }

    /// <summary>Bytes of these blocks.</summary>
    public long ReadThroughBytes { get; init; }

    /// <summary>Walks over this silo's blocks.</summary>
    public long Walks { get; init; }

    /// <summary>Walks that came to their end with everything handed over.</summary>
    public long WalksCompleted { get; init; }

    /// <summary>Blocks seen by walks.</summary>
    public long WalkedBlocks { get; init; }

    /// <summary>True while no walk is needed. Comes and goes.</summary>
    public bool IsSettled { get; init; }

    /// <summary>Epoch of the newest map under which everything was handed over.</summary>
    public long SettledEpoch { get; init; }

    /// <summary>Blocks that walks gave to other silos.</summary>
    public long HandedOverBlocks { get; init; }

    /// <summary>Bytes of these blocks.</summary>
    public long HandedOverBytes { get; init; }

    /// <summary>Blocks dropped since others hold them.</summary>
    public long Dropped { get; init; }

    /// <summary>Mutable values dropped since another silo may have changed them meanwhile.</summary>
    public long MutableDropped { get; init; }

    /// <summary>Mutable values given up as an earlier owner's could not be taken.</summary>
    public long MutableGivenUp { get; init; }

    /// <summary>Requests refused since the silo could not show that it is the owner.</summary>
    public long Fenced { get; init; }

    /// <summary>Requests of groups that others own.</summary>
    public long Moved { get; init; }

    /// <summary>Moves of groups begun here.</summary>
    public long MigrationsStarted { get; init; }

    /// <summary>Those that came to their end.</summary>
    public long MigrationsDone { get; init; }

    /// <summary>Those that did not.</summary>
    public long MigrationsFailed { get; init; }

    /// <summary>Groups that room is kept for. Goes up and down.</summary>
    public long Reservations { get; init; }

    /// <summary>Bytes of that room. Goes up and down.</summary>
    public long ReservedBytes { get; init; }

    /// <summary>Groups of this silo with a copy more as they are read much. Goes up and down.</summary>
    public long HotGroups { get; init; }

    /// <summary>Groups that this silo holds for such an owner. Goes up and down.</summary>
    public long HotHeld { get; init; }
}
