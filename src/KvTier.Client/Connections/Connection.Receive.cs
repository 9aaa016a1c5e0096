using System.Buffers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client.Connections;

internal sealed partial class Connection
{
    /// <summary>
    /// Most bytes asked for at once while it is not known what comes: at most so much of a payload has to be copied again.
    /// </summary>
    private const int HeadBytes = 4096;

    /// <summary>
    /// Most bytes asked for at once of a payload, so that their check is computed while they are in the processor's cache.
    /// </summary>
    private const int PieceBytes = 256 * 1024;

    private byte[] inbox = ArrayPool<byte>.Shared.Rent(64 * 1024);
    private int inboxStart;
    private int inboxEnd;
    private CancellationTokenSource receiveInterrupt = new();

    /// <summary>Wakes the receive loop out of a payload that the caller does not want any more.</summary>
    public void InterruptReceive() => Volatile.Read(ref receiveInterrupt).Cancel();

    private async Task ReceiveAsync()
    {
        KvError reason;
        try
        {
            reason = await ReceiveFramesAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            reason = Lost(error);
        }
        catch (Exception error)
        {
            reason = new KvError(ErrorCode.Internal, "connection", error.ToString());
        }

        Abort(reason);
        KvError first = AsUnavailable(Volatile.Read(ref fault)!);
        foreach (Request request in pending.TakeAll()) request.Fail(request.Id, first);
        ArrayPool<byte>.Shared.Return(inbox);
        inbox = [];
        permits.Release(capacity);
        metrics.ConnectionClosed();
    }

    /// <summary>Receives until the connection ends.</summary>
    /// <returns>Why it ended.</returns>
    private async ValueTask<KvError> ReceiveFramesAsync()
    {
        for (uint turn = 1; ; turn++)
        {
            await EagerSocket.TakeTurnAsync(turn).ConfigureAwait(false);
            if (!await FillAsync(FrameHeader.SizeBytes).ConfigureAwait(false)) return Ended();
            FrameStatus status = FrameHeader.TryParse(inbox.AsSpan(inboxStart, FrameHeader.SizeBytes), Limits, out FrameHeader header);
            if (status != FrameStatus.Ok) return FrameHeader.ErrorOf(status, inbox.AsSpan(inboxStart, FrameHeader.SizeBytes), Limits);
            inboxStart += FrameHeader.SizeBytes;
            if (!await FillAsync(header.BodyLength).ConfigureAwait(false)) return Ended();
            ReadOnlyMemory<byte> body = inbox.AsMemory(inboxStart, header.BodyLength);
            inboxStart += header.BodyLength;
            if (header.CheckBody(body.Span) is { } damaged) return damaged;
            Volatile.Write(ref silentTimeouts, 0);
            if (await TakeAsync(header, body).ConfigureAwait(false) is { } violation) return violation;
        }
    }

    private static KvError Ended() => new(ErrorCode.Unavailable, "connection", "closed by the silo", "an open connection");

    /// <summary>Takes one answer.</summary>
    /// <returns>Null, or what in it breaks the protocol.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<KvError?> TakeAsync(FrameHeader header, ReadOnlyMemory<byte> body)
    {
        if (header.Kind is not (FrameKind.Response or FrameKind.Error))
            return Violation("frame.kind", header.Kind.ToString(), "Response or Error");
        if (header.Kind == FrameKind.Error && header.RequestId == 0) return ErrorBody.Read(body.Span);
        if (!pending.TryFind(header.RequestId, out Request? request, out int items))
            return Violation("frame.requestId", $"{header.RequestId}", "a request in flight");
        if (request is null || !request.TryBeginReceive(header.RequestId))
            return await DrainLateAsync(header, body, items).ConfigureAwait(false);
        if (header.Opcode != request.Opcode) return Violation("frame.opcode", header.Opcode.ToString(), request.Opcode.ToString());
        metrics.AnswerReceived(FrameHeader.SizeBytes + header.BodyLength + header.PayloadLength);
        if (header.Kind == FrameKind.Error)
        {
            if (header.PayloadLength != 0) return Violation("frame.payloadLength", $"{header.PayloadLength}", "0 in an error");
            Finish(request, header.RequestId, ErrorBody.Read(body.Span), whole: true);
            return null;
        }

        if (request.ReadBody(body.Span, header.PayloadLength, Limits) is { } violation)
            return violation with { Code = ErrorCode.ProtocolViolation };
        if (header.PayloadLength == 0)
        {
            for (int i = 0; i < request.SinkCount; i++)
            {
                request.BeginSink(i, out _);
                request.EndSink(i);
            }

            Finish(request, header.RequestId, null, whole: true);
            return null;
        }

        long left = await ReceivePayloadAsync(request, header).ConfigureAwait(false);
        return left >= 0 && await SkipAsync(left).ConfigureAwait(false) ? null : Ended();
    }

    /// <summary>Completes a request. From here on it may be in use again: nothing of it may be touched.</summary>
    private void Finish(Request request, ulong id, KvError? error, bool whole)
    {
        pending.Remove(id);
        request.EndReceive(error, whole);
        permits.Release();
    }

    private static KvError Violation(string field, string value, string limit) => new(ErrorCode.ProtocolViolation, field, value, limit);

    /// <summary>Throws away an answer that nobody waits for, and gives back what it granted.</summary>
    private async ValueTask<KvError?> DrainLateAsync(FrameHeader header, ReadOnlyMemory<byte> body, int items)
    {
        metrics.LateAnswer();
        if (header.Kind == FrameKind.Response) Local?.ReturnGrants(header.Opcode, body.Span, items);
        Forget(header.RequestId);
        return await SkipAsync(header.PayloadLength).ConfigureAwait(false) ? null : Ended();
    }

    /// <summary>
    /// Receives the blocks of an answer into their destinations and completes the request, at the latest when its caller leaves.
    /// </summary>
    /// <returns>Bytes of the payload that are still to come; -1 when the connection has ended.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<long> ReceivePayloadAsync(Request request, FrameHeader header)
    {
        long left = header.PayloadLength;
        int count = request.SinkCount;
        for (int i = 0; i < count; i++)
        {
            Memory<byte> destination = request.BeginSink(i, out int length);
            if (destination.IsEmpty)
            {
                int unwanted = await SkipBlockAsync(request, length).ConfigureAwait(false);
                if (unwanted < 0) return -1;
                left -= unwanted;
                if (unwanted < length)
                {
                    Finish(request, header.RequestId, null, whole: false);
                    return left;
                }
            }
            else
            {
                int got = await ReceiveBlockAsync(request, destination).ConfigureAwait(false);
                if (got < 0) return -1;
                left -= got;
                if (got < length)
                {
                    Finish(request, header.RequestId, null, whole: false);
                    return left;
                }
            }

            request.EndSink(i);
        }

        Finish(request, header.RequestId, null, whole: true);
        return left;
    }

    /// <summary>Receives one block.</summary>
    /// <returns>Bytes received, fewer than asked for when the caller left; -1 when the connection ended.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReceiveBlockAsync(Request request, Memory<byte> destination)
    {
        int got = Math.Min(inboxEnd - inboxStart, destination.Length);
        inbox.AsSpan(inboxStart, got).CopyTo(destination.Span);
        inboxStart += got;
        if (got > 0) request.TakePiece(destination.Span[..got]);
        while (got < destination.Length)
        {
            if (request.InterruptReason is not null) return got;
            int read;
            try
            {
                Memory<byte> piece = destination.Slice(got, Math.Min(PieceBytes, destination.Length - got));
                read = await EagerSocket.ReceiveAsync(socket, piece, receiveInterrupt.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // Meant for this request or an earlier one; the loop's condition knows.
                Volatile.Write(ref receiveInterrupt, new CancellationTokenSource());
                continue;
            }

            if (read == 0) return -1;
            request.TakePiece(destination.Span.Slice(got, read));
            got += read;
        }

        return got;
    }

    /// <summary>Receives a block for which the caller has no room.</summary>
    /// <returns>Bytes received, fewer than asked for when the caller left; -1 when the connection ended.</returns>
    private async ValueTask<int> SkipBlockAsync(Request request, int length)
    {
        byte[] scratch = ArrayPool<byte>.Shared.Rent(Math.Min(length, 64 * 1024));
        try
        {
            for (int left = length; left > 0;)
            {
                int piece = Math.Min(left, scratch.Length);
                int got = await ReceiveBlockAsync(request, scratch.AsMemory(0, piece)).ConfigureAwait(false);
                if (got < 0) return -1;
                left -= got;
                if (got < piece) return length - left;
            }

            return length;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(scratch);
        }
    }

    /// <summary>Receives bytes that nobody wants.</summary>
    /// <returns>False when the connection ended.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> SkipAsync(long length)
    {
        while (length > 0)
        {
            if (inboxStart == inboxEnd)
            {
                inboxStart = 0;
                inboxEnd = await EagerSocket.ReceiveAsync(socket, inbox.AsMemory(0, (int)Math.Min(length, inbox.Length)))
                    .ConfigureAwait(false);
                if (inboxEnd == 0) return false;
            }

            int skipped = (int)Math.Min(length, inboxEnd - inboxStart);
            inboxStart += skipped;
            length -= skipped;
        }

        return true;
    }

    /// <summary>Receives until a number of bytes lie together in the inbox.</summary>
    /// <returns>False when the connection ended.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> FillAsync(int count)
    {
        if (inboxStart == inboxEnd) inboxStart = inboxEnd = 0;
        if (inbox.Length - inboxStart < count) MakeRoom(count);
        while (inboxEnd - inboxStart < count)
        {
            int missing = count - (inboxEnd - inboxStart);
            int room = Math.Min(inbox.Length - inboxEnd, Math.Max(missing, HeadBytes));
            int read = await EagerSocket.ReceiveAsync(socket, inbox.AsMemory(inboxEnd, room)).ConfigureAwait(false);
            if (read == 0) return false;
            inboxEnd += read;
        }

        return true;
    }

    private void MakeRoom(int count)
    {
        int held = inboxEnd - inboxStart;
        byte[] target = count <= inbox.Length ? inbox : ArrayPool<byte>.Shared.Rent(count);
        inbox.AsSpan(inboxStart, held).CopyTo(target);
        if (!ReferenceEquals(target, inbox)) ArrayPool<byte>.Shared.Return(inbox);
        inbox = target;
        inboxStart = 0;
        inboxEnd = held;
    }
}
