using System.Collections.Concurrent;
using KvTier.Cluster;
using KvTier.Protocol;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Clustering;

/// <summary>The way to the other silos over their native listeners. Thread-safe.</summary>
internal sealed class WirePeers(PeerDial dial, ClusterCounters counters, ILogger logger) : IPeers, IDisposable
{
    private readonly ConcurrentDictionary<(string Name, string Endpoint), PeerLink> links = new();

    /// <inheritdoc/>
    public async ValueTask<Result<PeerMessage>> CallAsync(SiloEntry to, PeerMessage request, TimeSpan deadline)
    {
        PeerLink link = LinkTo(to);
        PeerLane lane = request.Op < PeerOps.Blocks ? link.Urgent : link.Calls;
        Result<PeerMessage> answer = await OnLaneAsync(lane, deadline, (connection, left) => CallAsync(connection, to, request, left));
        if (answer.Error is { } error) Failed(to, error);
        return answer;
    }

    /// <inheritdoc/>
    public async ValueTask<Result<PushReply>> PushAsync(SiloEntry to, PushBatch batch, TimeSpan deadline)
    {
        Result<PushReply> answer = await OnLaneAsync(LinkTo(to).Pushes, deadline, (connection, left) =>
            new PushExchange(connection, to, batch, dial.Time).RunAsync(left));
        if (answer.Error is { } error) Failed(to, error);
        return answer;
    }

    /// <summary>Has another silo do what an operator asks.</summary>
    /// <returns>What became of it as JSON.</returns>
    public async ValueTask<Result<string>> AdminAsync(SiloEntry to, string verb, string[] arguments, TimeSpan deadline)
    {
        Result<string> answer = await OnLaneAsync(LinkTo(to).Calls, deadline, async (connection, left) =>
        {
            int deadlineMs = Math.Max(1, (int)Math.Min(left.TotalMilliseconds, connection.Limits.DeadlineMsMax));
            var request = new ClusterAdminRequest(verb, arguments, deadlineMs);
            Result<PeerFrame> exchanged = await connection.ExchangeAsync(Opcode.ClusterAdmin, request.Write, [], left);
            return exchanged.TryGet(out PeerFrame frame, out KvError? error) ? StatResponse.Read(frame.Body.Span) : error;
        });
        if (answer.Error is { } error) Failed(to, error);
        return answer;
    }

    /// <summary>Lets go of silos that are no members any more.</summary>
    public void Keep(ClusterMap map)
    {
        foreach (((string Name, string Endpoint) key, PeerLink link) in links)
        {
            int index = map.IndexOf(key.Name);
            if (index >= 0 && map.Silos[index].Endpoint == key.Endpoint) continue;
            if (links.TryRemove(new(key, link))) link.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (PeerLink link in links.Values) link.Dispose();
    }

    private PeerLink LinkTo(SiloEntry to) => links.GetOrAdd((to.Name, to.Endpoint), static (_, made) => new PeerLink(made.Dial, made.To),
        (Dial: dial, To: to));

    private void Failed(SiloEntry to, KvError error)
    {
        counters.PeerFailed();
        logger.PeerFailed(to.Name, error.Message);
    }

    private async ValueTask<Result<T>> OnLaneAsync<T>(
        PeerLane lane, TimeSpan deadline, Func<PeerConnection, TimeSpan, ValueTask<Result<T>>> exchange)
    {
        long start = dial.Time.GetTimestamp();
        if (!(await lane.RentAsync(deadline)).TryGet(out PeerConnection? connection, out KvError? error)) return error;
        try
        {
            TimeSpan left = deadline - dial.Time.GetElapsedTime(start);
            return await exchange(connection, left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }
        finally
        {
            lane.Return(connection);
        }
    }

    private async ValueTask<Result<PeerMessage>> CallAsync(
        PeerConnection connection, SiloEntry to, PeerMessage request, TimeSpan deadline)
    {
        Result<PeerFrame> exchanged = await connection.ExchangeAsync(
            Opcode.Peer,
            buffer => PeerRequest.Write(
                buffer, request.Op, request.Epoch, dial.Sender, request.Body.Span, Math.Max(1, (int)deadline.TotalMilliseconds),
                Crc32C.Compute(request.Payload.Span)),
            request.Payload.IsEmpty ? [] : [request.Payload],
            deadline,
            isWork: request.Op is >= PeerOps.Sequences and < PeerOps.Engines);
        if (!exchanged.TryGet(out PeerFrame frame, out KvError? error)) return error;
        KvError? unreadable = PeerResponse.TryRead(frame.Body.Span, frame.Payload.Length, connection.Limits, out PeerResponse answer);
        if (unreadable is not null) return PeerErrors.Wrong(to, unreadable);
        uint crc = Crc32C.Compute(frame.Payload.Span);
        if (crc != answer.Check)
        {
            var corrupt = new KvError(ErrorCode.Corrupt, "peer.check", $"{answer.Check:X8}", $"{crc:X8}, that of the bytes received");
            return PeerErrors.Wrong(to, corrupt);
        }

        return new PeerMessage(request.Op, answer.Epoch, answer.Body.ToArray(), frame.Payload);
    }
}
