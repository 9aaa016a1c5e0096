using KvTier.Protocol;
using KvTier.Silo.Engines;

namespace KvTier.Silo.Native;

/// <content>What engines say of themselves and of their blocks, and what they ask before they load.</content>
internal sealed partial class NativeConnection
{
    private async ValueTask HandleEngineHelloAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        if (!EngineHelloRequest.Read(body.Span, limits).TryGet(out EngineHelloRequest? hello, out KvError? error))
        {
            await SendErrorAsync(header, error);
            return;
        }

        if (Opened(hello.Namespace) is not { } ns)
        {
            await SendErrorAsync(header, UnknownNamespace(hello.Namespace));
            return;
        }

        await TakeLateSlotAsync();
        _ = AnswerHelloLateAsync(header, ns, hello, receivedAt);
    }

    /// <summary>Asks the home of the namespace, which may be another silo, and answers; holds a slot for late answers.</summary>
    private async Task AnswerHelloLateAsync(FrameHeader header, NamespaceDescriptor ns, EngineHelloRequest hello, long receivedAt)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            Result<EngineHelloResponse> result = await context.Desk.HelloAsync(ns, hello, TimeLeft(hello.DeadlineMs, receivedAt));
            if (!result.TryGet(out EngineHelloResponse? answer, out KvError? error)) await SendErrorAsync(header, error);
            else await SendAsync(header, () => answer.Write(output.Buffer));
            Done(header, receivedAt);
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

    private KvError? Loadable(ReadOnlySpan<byte> body)
    {
        if (LoadableRequest.TryRead(body, limits, out LoadableRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        var ids = new BlockId[request.Ids.Count];
        request.Ids.CopyTo(ids);
        TierSet[]? tiers = null;
        if (request.HasTiers)
        {
            tiers = new TierSet[request.Tiers.Length];
            for (int i = 0; i < tiers.Length; i++) tiers[i] = (TierSet)request.Tiers[i];
        }

        var terms = new LoadableTerms(
            request.PrefillTokensPerSecond, request.BytesPerSecond, request.BlockTokens, request.BlockBytes);
        context.Desk.Loadable(request.Namespace, ids, terms, tiers, CheckLocal() is null).Write(output.Buffer);
        return null;
    }

    private KvError? TakeNotes(ReadOnlySpan<byte> body)
    {
        if (!EventNotesRequest.Read(body, limits).TryGet(out EventNotesRequest? request, out KvError? error)) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        EventNotesResponse answer = context.Events?.Take(request) ?? new EventNotesResponse(0, request.Notes.Count, Publishing: false);
        answer.Write(output.Buffer);
        return null;
    }

    /// <summary>Bytes of the blocks of a get that have a lease from the SSD.</summary>
    private static long BytesFrom(GetWork work, TierSet source)
    {
        long bytes = 0;
        for (int i = 0; i < work.Count; i++)
        {
            if (work.IsHit(i) && work.Results[i].Lease.Source == source) bytes += work.Results[i].Lease.Length;
        }

        return bytes;
    }
}
