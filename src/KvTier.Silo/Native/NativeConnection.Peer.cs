using System.Runtime.CompilerServices;
using KvTier.Cluster;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>What other silos ask: the payload is received by the loop, the rest is done beside it.</content>
internal sealed partial class NativeConnection
{
    private sealed record PeerCall(FrameHeader Header, long ReceivedAt, string Sender, PeerMessage Message, int DeadlineMs);

    /// <summary>Receives a call of another silo and starts to answer it.</summary>
    /// <returns>False when the silo closed in the middle of it.</returns>
    private async ValueTask<bool> HandlePeerAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        if (!ReadPeerCall(header, body.Span, receivedAt).TryGet(out (PeerCall Call, uint Check) read, out KvError? refusal))
        {
            if (!await input.SkipAsync(header.PayloadLength)) return false;
            await SendErrorAsync(header, refusal);
            return true;
        }

        bool started = false;
        try
        {
            byte[] payload = header.PayloadLength == 0 ? [] : GC.AllocateUninitializedArray<byte>((int)header.PayloadLength);
            if (!await input.ReadAsync(payload)) return false;
            uint crc = Crc32C.Compute(payload);
            if (crc != read.Check)
            {
                await SendErrorAsync(header, new KvError(ErrorCode.Corrupt, "peer.check", $"{read.Check:X8}",
                    $"{crc:X8}, that of the bytes received"));
                return true;
            }

            await TakeLateSlotAsync();
            started = true;
            _ = AnswerPeerLateAsync(read.Call with { Message = read.Call.Message with { Payload = payload } });
        }
        finally
        {
            if (!started) context.PeerBytes.Return(header.PayloadLength);
        }

        return true;
    }

    /// <summary>Reads a call; one that is accepted has taken its payload's bytes from the budget.</summary>
    private Result<(PeerCall Call, uint Check)> ReadPeerCall(in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (!isPeer)
            return new KvError(ErrorCode.Unauthorized, "peer", "a client", "a connection that has shown the token of silos");
        if (cluster is null) return new KvError(ErrorCode.Unsupported, "peer", "a silo of its own", "a silo in a cluster");
        if (PeerRequest.TryRead(body, header.PayloadLength, limits, out PeerRequest request) is { } error) return error;
        if (!context.PeerBytes.TryTake(header.PayloadLength))
            return new KvError(ErrorCode.Busy, "peer.payloadBytes", $"{context.PeerBytes.Taken + header.PayloadLength}",
                $"{context.PeerBytes.Max} in flight");
        var message = new PeerMessage(request.Op, request.Epoch, request.Body.ToArray());
        return (new PeerCall(header, receivedAt, request.Sender, message, request.DeadlineMs), request.Check);
    }

    /// <summary>Answers a call; holds a slot for late answers.</summary>
    private async Task AnswerPeerLateAsync(PeerCall call)
    {
        // The call may work on this thread for long before it waits for something.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            Result<PeerMessage> result = await cluster!.OnCallAsync(call.Sender, call.Message, TimeLeft(call.DeadlineMs, call.ReceivedAt));
            if (result.TryGet(out PeerMessage? answer, out KvError? error)) await SendPeerAsync(call, answer);
            else await SendErrorAsync(call.Header, error);
            await output.FlushAsync();
        }
        catch (Exception e)
        {
            EndFailed(e);
        }
        finally
        {
            context.PeerBytes.Return(call.Header.PayloadLength);
            lateSlots.Release();
        }
    }

    private async ValueTask SendPeerAsync(PeerCall call, PeerMessage answer)
    {
        uint check = Crc32C.Compute(answer.Payload.Span);
        await output.AcquireAsync();
        try
        {
            int start = Frame.Begin(output.Buffer);
            PeerResponse.Write(output.Buffer, answer.Epoch, answer.Body.Span, check);
            Frame.Complete(
                output.Buffer, start, FrameKind.Response, call.Header.Opcode, call.Header.RequestId, answer.Payload.Length);
            if (answer.Payload.Length > 0) await output.SendBlockAsync(answer.Payload);
        }
        finally
        {
            output.Release();
        }

        Done(call.Header, call.ReceivedAt);
    }
}
