using KvTier.Cluster;
using KvTier.Protocol;

namespace KvTier.Silo.Clustering;

/// <summary>One push over one connection, frame by frame.</summary>
internal sealed class PushExchange(PeerConnection connection, SiloEntry to, PushBatch batch, TimeProvider time)
{
    private readonly PushStatus[] statuses = new PushStatus[batch.Blocks.Count];
    private KvError? firstError;
    private long epoch;

    /// <summary>Pushes all blocks of the batch.</summary>
    /// <param name="deadline">Time for all of it.</param>
    public async ValueTask<Result<PushReply>> RunAsync(TimeSpan deadline)
    {
        long start = time.GetTimestamp();
        if (!(await connection.OpenAsync(batch.Namespace, deadline)).TryGet(out ushort handle, out KvError? error)) return error;
        foreach (PushFrame frame in PushFrame.Split(batch.Blocks, connection.Limits))
        {
            TimeSpan left = deadline - time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero) return PeerErrors.Late(to, deadline);
            error = await PushAsync(frame, handle, left);
            if (error is not null) return error;
        }

        return new PushReply(epoch, statuses, firstError);
    }

    private async ValueTask<KvError?> PushAsync(PushFrame frame, ushort handle, TimeSpan deadline)
    {
        long ttlMs = 0;
        if (frame.ExpiryUnixMs != 0)
        {
            // What is about to expire is not worth the way.
            ttlMs = frame.ExpiryUnixMs - time.GetUtcNow().ToUnixTimeMilliseconds();
            if (ttlMs <= 0)
            {
                foreach (int index in frame.Indexes) statuses[index] = PushStatus.Present;
                return null;
            }
        }

        ReadOnlyMemory<byte>[] payload = [.. frame.Indexes.Select(index => batch.Blocks[index].Payload)];
        Result<PeerFrame> exchanged = await connection.ExchangeAsync(
            Opcode.Put, buffer => WriteBody(buffer, frame, handle, ttlMs, (int)deadline.TotalMilliseconds), payload, deadline);
        return exchanged.TryGet(out PeerFrame answer, out KvError? error) ? Take(frame, answer.Body.Span) : error;
    }

    private void WriteBody(FrameBuffer buffer, PushFrame frame, ushort handle, long ttlMs, int deadlineMs)
    {
        var groups = new BlockId[frame.Indexes.Count];
        for (int i = 0; i < groups.Length; i++) groups[i] = batch.Blocks[frame.Indexes[i]].Group;
        PutRequestWriter writer = PutRequestWriter.Begin(
            buffer, handle, AckLevel.Memory, PutFlags.None, ttlMs, Math.Max(deadlineMs, 1), groups.Length,
            new Route(batch.Epoch, (RouteRole)batch.Role, groups));
        foreach (int index in frame.Indexes)
        {
            StoredBlock block = batch.Blocks[index];
            uint check = BlockCheck.Compute(block.Id, block.Codec, 0, block.Payload.Length, block.PayloadCrc);
            writer.Add(block.Key.Span, block.Payload.Length, block.Codec, check);
        }

        writer.End();
    }

    private KvError? Take(PushFrame frame, ReadOnlySpan<byte> body)
    {
        if (PutResponse.TryRead(body, frame.Indexes.Count, out PutResponse response) is { } unreadable)
            return PeerErrors.Wrong(to, unreadable);
        for (int i = 0; i < frame.Indexes.Count; i++) statuses[frame.Indexes[i]] = (PushStatus)response.Statuses[i];
        epoch = response.Epoch;
        firstError ??= response.Error;
        return null;
    }
}
