using KvTier.Cluster;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>Requests about lists of ids, in a cluster.</content>
internal sealed partial class NativeConnection
{
    private sealed record IdsCall(FrameHeader Header, long ReceivedAt, ushort Namespace, BlockId[] Ids, BlockId[] Groups, bool Touch);

    private async ValueTask HandleRoutedIdsAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        long epoch = ReadRoutedIds(header, body.Span, receivedAt, out IdsCall? call);
        if (IsBehind(epoch)) await CatchUpAsync(epoch);
        if (call is null)
        {
            await AnswerAsync(header, body, receivedAt);
            return;
        }

        await TakeLateSlotAsync();
        _ = AnswerIdsLateAsync(call);
    }

    /// <summary>Looks at a request's route.</summary>
    /// <param name="header">The request's header.</param>
    /// <param name="body">Its body; one that can't be read is answered where it is read for good.</param>
    /// <param name="receivedAt">When it came.</param>
    /// <param name="call">The request, when other silos must be asked too; else null.</param>
    /// <returns>The epoch of whoever asks.</returns>
    private long ReadRoutedIds(in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt, out IdsCall? call)
    {
        call = null;
        switch (header.Opcode)
        {
            case Opcode.Pin:
                return PinRequest.TryRead(body, limits, out PinRequest pin) is null ? pin.Route.Epoch : 0;
            case Opcode.Prefix:
                if (PrefixRequest.TryRead(body, limits, out PrefixRequest prefix) is not null || Opened(prefix.Namespace) is null) return 0;
                if (prefix.Route.Role == RouteRole.Client && MayLackSome(prefix))
                {
                    bool touch = prefix.Flags.HasFlag(PrefixFlags.Touch);
                    call = CallOf(header, receivedAt, prefix.Namespace, prefix.Ids, prefix.Route, touch);
                }

                return prefix.Route.Epoch;
            default:
                if (IdsRequest.TryRead(body, limits, out IdsRequest ids) is not null || Opened(ids.Namespace) is null) return 0;
                if (ids.Route.Role == RouteRole.Client && header.Opcode == Opcode.Delete)
                    call = CallOf(header, receivedAt, ids.Namespace, ids.Ids, ids.Route, touch: false);
                return ids.Route.Epoch;
        }
    }

    /// <summary>True while silos may have blocks of the prefix that belong here now.</summary>
    private bool MayLackSome(scoped in PrefixRequest request) =>
        request.Ids.Count > 0 && cluster!.Node.MayBeElsewhere(request.Route.GroupOf(0, request.Ids[0]))
        && !opened[request.Namespace]!.IsMutable;

    private static IdsCall CallOf(
        in FrameHeader header, long receivedAt, ushort ns, IdList ids, scoped in RouteView route, bool touch)
    {
        var all = new BlockId[ids.Count];
        var groups = new BlockId[ids.Count];
        ids.CopyTo(all);
        for (int i = 0; i < all.Length; i++) groups[i] = route.GroupOf(i, all[i]);
        return new IdsCall(header, receivedAt, ns, all, groups, touch);
    }

    /// <summary>Answers a prefix or a delete; holds a slot for late answers.</summary>
    private async Task AnswerIdsLateAsync(IdsCall call)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            KvError? error = call.Header.Opcode == Opcode.Delete ? await DeleteRoutedAsync(call) : await PrefixRoutedAsync(call);
            if (error is not null) await SendErrorAsync(call.Header, error);
            else Done(call.Header, call.ReceivedAt);
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

    /// <summary>Counts a prefix; blocks of it that earlier holders have come here first, a group at a time.</summary>
    private async ValueTask<KvError?> PrefixRoutedAsync(IdsCall call)
    {
        var tiers = new TierSet[call.Ids.Length];
        int count = engine.Prefix(call.Namespace, call.Ids, tiers, call.Touch);
        while (count < call.Ids.Length && Admit(call.Namespace, call.Groups[count], AccessKind.Read) == Admission.Serve)
        {
            if (cluster!.Node.MayBeElsewhere(call.Groups[count]))
            {
                int end = count + 1;
                while (end < call.Ids.Length && call.Groups[end] == call.Groups[count]) end++;
                await cluster.Node.ReadThroughAsync(
                    call.Namespace, call.Ids.AsMemory(count, end - count), call.Groups.AsMemory(count, end - count),
                    TimeLeft(0, call.ReceivedAt));
            }

            // Blocks may have been handed over meanwhile, too.
            int before = count;
            count = engine.Prefix(call.Namespace, call.Ids, tiers, call.Touch);
            if (count == before) break;
        }

        bool moved = count < call.Ids.Length && Admit(call.Namespace, call.Groups[count], AccessKind.Read) == Admission.Moved;
        await SendAsync(call.Header, () => PrefixResponse.Write(output.Buffer, tiers.AsSpan(0, count), MapEpoch, moved));
        return null;
    }

    /// <summary>Deletes blocks here and on all other silos that may have them.</summary>
    private async ValueTask<KvError?> DeleteRoutedAsync(IdsCall call)
    {
        var statuses = new ItemStatus[call.Ids.Length];
        var owned = new List<int>(statuses.Length);
        for (int i = 0; i < statuses.Length; i++)
        {
            switch (Admit(call.Namespace, call.Groups[i], AccessKind.Change))
            {
                case Admission.Fenced:
                    return Fenced(i);
                case Admission.Moved:
                    statuses[i] = ItemStatus.Moved;
                    break;
                default:
                    owned.Add(i);
                    break;
            }
        }

        foreach (int i in owned) statuses[i] = engine.Delete(call.Namespace, call.Ids[i]) ? ItemStatus.Done : ItemStatus.NotHere;
        BlockId[] ids = [.. owned.Select(i => call.Ids[i])], groups = [.. owned.Select(i => call.Groups[i])];
        if (ids.Length > 0 && await cluster!.Node.DeleteAsync(call.Namespace, ids, groups, TimeLeft(0, call.ReceivedAt)) is { } error)
            return error;
        await SendAsync(call.Header, () => StatusesResponse.Write(output.Buffer, statuses, MapEpoch));
        return null;
    }

    private async ValueTask SendAsync(FrameHeader header, Action writeBody)
    {
        await output.AcquireAsync();
        try
        {
            int start = Frame.Begin(output.Buffer);
            writeBody();
            Frame.Complete(output.Buffer, start, FrameKind.Response, header.Opcode, header.RequestId);
        }
        finally
        {
            output.Release();
        }
    }
}
