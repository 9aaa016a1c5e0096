using System.Buffers;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>Requests about lists of ids.</content>
internal sealed partial class NativeConnection
{
    private KvError? Prefix(ReadOnlySpan<byte> body)
    {
        if (PrefixRequest.TryRead(body, limits, out PrefixRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        BlockId[] ids = ArrayPool<BlockId>.Shared.Rent(request.Ids.Count);
        TierSet[] tiers = ArrayPool<TierSet>.Shared.Rent(request.Ids.Count);
        request.Ids.CopyTo(ids);
        int count = engine.Prefix(
            request.Namespace, ids.AsSpan(0, request.Ids.Count), tiers.AsSpan(0, request.Ids.Count),
                (request.Flags & PrefixFlags.Touch) != PrefixFlags.None);
        PrefixResponse.Write(output.Buffer, tiers.AsSpan(0, count));
        ArrayPool<BlockId>.Shared.Return(ids);
        ArrayPool<TierSet>.Shared.Return(tiers);
        return null;
    }

    private KvError? ChangeEach(Opcode opcode, ReadOnlySpan<byte> body)
    {
        if (IdsRequest.TryRead(body, limits, out IdsRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        ItemStatus[] statuses = ArrayPool<ItemStatus>.Shared.Rent(request.Ids.Count);
        for (int i = 0; i < request.Ids.Count; i++)
            statuses[i] = Change(opcode, request.Namespace, request.Ids[i]) ? ItemStatus.Done : ItemStatus.NotHere;
        StatusesResponse.Write(output.Buffer, statuses.AsSpan(0, request.Ids.Count));
        ArrayPool<ItemStatus>.Shared.Return(statuses);
        return null;
    }

    private bool Change(Opcode opcode, ushort ns, BlockId id) => opcode switch
    {
        Opcode.Delete => engine.Delete(ns, id),
        Opcode.Unpin => engine.Unpin(ns, id),
        Opcode.Touch => engine.Touch(ns, id),
        Opcode.Prefetch => engine.Prefetch(ns, id),
        _ => throw new ArgumentOutOfRangeException(nameof(opcode), opcode, "not a change of single blocks"),
    };

    private KvError? Pin(ReadOnlySpan<byte> body)
    {
        if (PinRequest.TryRead(body, limits, out PinRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        long until = context.Time.GetUtcNow().ToUnixTimeMilliseconds() + request.PinMs;
        ItemStatus[] statuses = ArrayPool<ItemStatus>.Shared.Rent(request.Ids.Count);
        for (int i = 0; i < request.Ids.Count; i++)
            statuses[i] = engine.Pin(request.Namespace, request.Ids[i], until) ? ItemStatus.Done : ItemStatus.NotHere;
        StatusesResponse.Write(output.Buffer, statuses.AsSpan(0, request.Ids.Count));
        ArrayPool<ItemStatus>.Shared.Return(statuses);
        return null;
    }

    private KvError? Describe(ReadOnlySpan<byte> body)
    {
        if (IdsRequest.TryRead(body, limits, out IdsRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        DescribeResponseWriter writer = DescribeResponseWriter.Begin(output.Buffer, request.Ids.Count);
        for (int i = 0; i < request.Ids.Count; i++)
        {
            BlockInfo info = engine.Describe(request.Namespace, request.Ids[i]);
            writer.Add(new DescribeItem(
                info.Tiers, info.Reason, info.Length, info.Codec, info.PayloadCrc, info.ExpiryUnixMs, info.PinnedUntilUnixMs,
                    info.Durable));
        }

        return null;
    }
}
