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
    public long HotCopies;

    /// <summary>Adds to one of them.</summary>
    public static void Add(ref long counter, long count = 1) => Interlocked.Add(ref counter, count);
}
