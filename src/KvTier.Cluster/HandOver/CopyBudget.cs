namespace KvTier.Cluster;

/// <summary>The bytes a second that copies to other silos may take: a bucket that fills with time. Thread-safe.</summary>
/// <param name="node">Clock and stop.</param>
internal sealed class CopyBudget(NodeContext node)
{
    private readonly Lock gate = new();
    private readonly double perSecond = node.Options.CopyBytesPerSecond;
    private long last = node.Time.GetTimestamp();
    private double left = node.Options.CopyBytesPerSecond / 8.0;

    /// <summary>Takes bytes, and waits until they would have been there. What is larger than the bucket is waited for afterwards.</summary>
    public async ValueTask TakeAsync(long bytes)
    {
        TimeSpan wait;
        lock (gate)
        {
            long now = node.Time.GetTimestamp();
            left = Math.Min(perSecond / 8, left + (node.Time.GetElapsedTime(last, now).TotalSeconds * perSecond));
            last = now;
            left -= bytes;
            wait = left < 0 ? TimeSpan.FromSeconds(-left / perSecond) : TimeSpan.Zero;
        }

        await node.PauseAsync(wait);
    }
}
