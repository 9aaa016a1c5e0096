using System.Diagnostics.Metrics;

namespace KvTier.Client.Metrics;

/// <summary>The client's instruments, on the meter <c>KvTier.Client</c>.</summary>
internal sealed class ClientMetrics : IDisposable
{
    public const string MeterName = "KvTier.Client";

    private readonly Meter meter = new(MeterName);
    private readonly Counter<long> requests;
    private readonly Counter<long> sentBytes;
    private readonly Counter<long> receivedBytes;
    private readonly Counter<long> hits;
    private readonly Counter<long> misses;
    private readonly Counter<long> corrupt;
    private readonly Counter<long> failures;
    private readonly Counter<long> retries;
    private readonly Counter<long> lateAnswers;
    private readonly Counter<long> connects;
    private readonly UpDownCounter<long> connections;
    private long corruptBlocks;

    public ClientMetrics()
    {
        requests = meter.CreateCounter<long>("kvtier.client.requests", "{request}", "Requests sent.");
        sentBytes = meter.CreateCounter<long>("kvtier.client.sent", "By", "Bytes of frames and payload sent.");
        receivedBytes = meter.CreateCounter<long>("kvtier.client.received", "By", "Bytes of frames and payload received.");
        hits = meter.CreateCounter<long>("kvtier.client.block.hits", "{block}", "Blocks fetched, by tier.");
        misses = meter.CreateCounter<long>("kvtier.client.block.misses", "{block}", "Blocks not fetched, by reason.");
        corrupt = meter.CreateCounter<long>("kvtier.client.block.corrupt", "{block}",
            "Blocks whose bytes failed their check in the client.");
        failures = meter.CreateCounter<long>("kvtier.client.failures", "{operation}", "Operations that ended with an error, by code.");
        retries = meter.CreateCounter<long>("kvtier.client.retries", "{try}", "Tries after the first.");
        lateAnswers = meter.CreateCounter<long>("kvtier.client.late_answers", "{answer}", "Answers that nobody waited for any more.");
        connects = meter.CreateCounter<long>("kvtier.client.connects", "{connection}", "Connections made.");
        connections = meter.CreateUpDownCounter<long>("kvtier.client.connections", "{connection}", "Connections open.");
    }

    /// <summary>Blocks whose bytes failed their check.</summary>
    public long CorruptBlocks => Volatile.Read(ref corruptBlocks);

    public void RequestSent(long bytes)
    {
        requests.Add(1);
        sentBytes.Add(bytes);
    }

    public void AnswerReceived(long bytes) => receivedBytes.Add(bytes);

    public void Fetched(in GetSummary summary)
    {
        if (summary.HostHits > 0) hits.Add(summary.HostHits, new KeyValuePair<string, object?>("tier", "host"));
        if (summary.SsdHits > 0) hits.Add(summary.SsdHits, new KeyValuePair<string, object?>("tier", "ssd"));
    }

    public void Missed(MissReason reason)
    {
        if (misses.Enabled) misses.Add(1, new KeyValuePair<string, object?>("reason", reason.Name()));
    }

    public void Corrupt()
    {
        Interlocked.Increment(ref corruptBlocks);
        corrupt.Add(1);
    }

    public void Failed(ErrorCode code)
    {
        if (failures.Enabled) failures.Add(1, new KeyValuePair<string, object?>("code", code.ToString()));
    }

    public void Retried() => retries.Add(1);

    public void LateAnswer() => lateAnswers.Add(1);

    public void ConnectionOpened()
    {
        connects.Add(1);
        connections.Add(1);
    }

    public void ConnectionClosed() => connections.Add(-1);

    public void Dispose() => meter.Dispose();
}
