using System.Text;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>The cluster's map and status, and what operators ask of it.</content>
internal sealed partial class NativeConnection
{
    private KvError? WriteMap(ReadOnlySpan<byte> body)
    {
        if (!ClusterMapRequest.Read(body).TryGet(out ClusterMapRequest? request, out KvError? error)) return error;
        ClusterMapResponse answer = cluster?.Map is { Epoch: > 0 } map
            ? ClusterMapResponse.Of(map, context.Options.Name, request.KnownEpoch)
            : ClusterMapResponse.OutsideOf(context.Options.Name);
        answer.Write(output.Buffer);
        return null;
    }

    private KvError? WriteStatus(ReadOnlySpan<byte> body)
    {
        if (EmptyBody.Check(body) is { } error) return error;
        ClusterStatus status = cluster?.Status() ?? new ClusterStatus { Self = context.Options.Name };
        StatResponse.Write(output.Buffer, Encoding.UTF8.GetBytes(status.ToJson()));
        return null;
    }

    private async ValueTask HandleAdminAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        Result<ClusterAdminRequest> read = ClusterAdminRequest.Read(body.Span, limits);
        if (!read.TryGet(out ClusterAdminRequest? request, out KvError? error) || cluster is null)
        {
            await SendErrorAsync(header, error ?? new KvError(ErrorCode.Unsupported, "cluster", "none", "a silo in a cluster"));
            return;
        }

        await TakeLateSlotAsync();
        _ = AnswerAdminLateAsync(header, request, receivedAt);
    }

    /// <summary>Does what an operator asks; holds a slot for late answers.</summary>
    private async Task AnswerAdminLateAsync(FrameHeader header, ClusterAdminRequest request, long receivedAt)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            Result<string> done = await cluster!.Admin.DoAsync(
                request.Verb, request.Arguments, TimeLeft(request.DeadlineMs, receivedAt));
            if (done.TryGet(out string? json, out KvError? error)) await SendJsonAsync(header, json, receivedAt);
            else await SendErrorAsync(header, error);
            await output.FlushAsync();
        }
        catch (Exception e)
        {
            EndFailed(e);
        }
        finally
        {
            lateSlots.Release();
        }
    }

    private async ValueTask SendJsonAsync(FrameHeader header, string json, long receivedAt)
    {
        await output.AcquireAsync();
        try
        {
            int start = Frame.Begin(output.Buffer);
            StatResponse.Write(output.Buffer, Encoding.UTF8.GetBytes(json));
            Frame.Complete(output.Buffer, start, FrameKind.Response, header.Opcode, header.RequestId);
        }
        finally
        {
            output.Release();
        }

        Done(header, receivedAt);
    }
}
