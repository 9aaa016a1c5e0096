namespace KvTier.Silo.Clustering;

/// <summary>What the silo counts of its traffic with the cluster, beside what the node counts. Thread-safe.</summary>
internal sealed class ClusterCounters
{
    private long peerErrors;
    private long forwarded;

    /// <summary>Calls and pushes to other silos that failed.</summary>
    public long PeerErrors => Interlocked.Read(ref peerErrors);

    /// <summary>Commands of RESP2 clients that other silos answered.</summary>
    public long Forwarded => Interlocked.Read(ref forwarded);

    /// <summary>A call or push failed.</summary>
    public void PeerFailed() => Interlocked.Increment(ref peerErrors);

    /// <summary>A RESP2 command went to another silo.</summary>
    public void CommandForwarded() => Interlocked.Increment(ref forwarded);
}
