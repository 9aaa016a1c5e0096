namespace KvTier.Silo.Events;

/// <summary>A batch as it was published.</summary>
/// <param name="Topic">Its topic.</param>
/// <param name="Sequence">Its number in the topic, 8 bytes, big-endian.</param>
/// <param name="Number">The same as a number.</param>
/// <param name="Payload">Its events.</param>
internal sealed record PublishedBatch(byte[] Topic, byte[] Sequence, long Number, byte[] Payload)
{
    /// <summary>Memory it takes, nearly.</summary>
    public int Bytes => 160 + Payload.Length;
}

/// <summary>The newest batches, for those who missed some. Thread-safe.</summary>
/// <param name="batchesMax">Most batches.</param>
/// <param name="bytesMax">Most bytes of them.</param>
internal sealed class EventRing(int batchesMax, long bytesMax)
{
    private readonly Lock gate = new();
    private readonly Queue<PublishedBatch> batches = new();
    private long bytes;

    /// <summary>Batches kept.</summary>
    public int Count
    {
        get
        {
            lock (gate) return batches.Count;
        }
    }

    /// <summary>Adds a batch; the oldest ones go for it.</summary>
    public void Add(PublishedBatch batch)
    {
        lock (gate)
        {
            batches.Enqueue(batch);
            bytes += batch.Bytes;
            while (batches.Count > 0 && (batches.Count > batchesMax || bytes > bytesMax)) bytes -= batches.Dequeue().Bytes;
        }
    }

    /// <summary>The batches from a number on, in the order in which they were published.</summary>
    /// <param name="start">The number, in each topic.</param>
    /// <param name="topicPrefix">How their topics begin.</param>
    public PublishedBatch[] From(long start, byte[] topicPrefix)
    {
        lock (gate) return [.. batches.Where(each => each.Number >= start && each.Topic.AsSpan().StartsWith(topicPrefix))];
    }
}
