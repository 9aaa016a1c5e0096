namespace KvTier.Cluster;

/// <summary>What a node counts while it runs. Thread-safe.</summary>
internal sealed class NodeCounters
{
    public long Pushes;
    public long PushedBlocks;
    public long PushedBytes;
    public long PushFailures;
    public long PushesRefused;
    public long ReplicaAcks;
    public long ReplicaFailures;
    public long QueueOverflow;
    public long LeftToWalk;
    public long ReadThroughAsked;
    public long ReadThroughBlocks;
    public long ReadThroughBytes;
    public long Walks;
    public long WalksCompleted;
    public long WalkedBlocks;
    public long HandedOverBlocks;
    public long HandedOverBytes;
    public long Dropped;
    public long MutableDropped;
    public long MutableGivenUp;
    public long Fenced;
    public long Moved;
    public long MigrationsStarted;
    public long MigrationsDone;
    public long MigrationsFailed;

    /// <summary>Adds to one of them.</summary>
    public static void Add(ref long counter, long count = 1) => Interlocked.Add(ref counter, count);

    /// <summary>The counts so far.</summary>
    public ClusterStats ToStats() => new()
    {
        Pushes = Interlocked.Read(ref Pushes),
        PushedBlocks = Interlocked.Read(ref PushedBlocks),
        PushedBytes = Interlocked.Read(ref PushedBytes),
        PushFailures = Interlocked.Read(ref PushFailures),
        PushesRefused = Interlocked.Read(ref PushesRefused),
        ReplicaAcks = Interlocked.Read(ref ReplicaAcks),
        ReplicaFailures = Interlocked.Read(ref ReplicaFailures),
        QueueOverflow = Interlocked.Read(ref QueueOverflow),
        LeftToWalk = Interlocked.Read(ref LeftToWalk),
        ReadThroughAsked = Interlocked.Read(ref ReadThroughAsked),
        ReadThroughBlocks = Interlocked.Read(ref ReadThroughBlocks),
        ReadThroughBytes = Interlocked.Read(ref ReadThroughBytes),
        Walks = Interlocked.Read(ref Walks),
        WalksCompleted = Interlocked.Read(ref WalksCompleted),
        WalkedBlocks = Interlocked.Read(ref WalkedBlocks),
        HandedOverBlocks = Interlocked.Read(ref HandedOverBlocks),
        HandedOverBytes = Interlocked.Read(ref HandedOverBytes),
        Dropped = Interlocked.Read(ref Dropped),
        MutableDropped = Interlocked.Read(ref MutableDropped),
        MutableGivenUp = Interlocked.Read(ref MutableGivenUp),
        Fenced = Interlocked.Read(ref Fenced),
        Moved = Interlocked.Read(ref Moved),
        MigrationsStarted = Interlocked.Read(ref MigrationsStarted),
        MigrationsDone = Interlocked.Read(ref MigrationsDone),
        MigrationsFailed = Interlocked.Read(ref MigrationsFailed),
    };
}
