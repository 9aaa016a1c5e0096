using System.Buffers;
using KvTier.Cluster;
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
        bool moved = cluster is not null && count < request.Ids.Count
            && IsMoved(request.Namespace, request.Route, count, ids[count], NotHere(request.Namespace, ids[count]));
        PrefixResponse.Write(output.Buffer, tiers.AsSpan(0, count), MapEpoch, moved);
        ArrayPool<BlockId>.Shared.Return(ids);
        ArrayPool<TierSet>.Shared.Return(tiers);
        return null;
    }

    private KvError? ChangeEach(Opcode opcode, ReadOnlySpan<byte> body)
    {
        if (IdsRequest.TryRead(body, limits, out IdsRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        if (RouteOf(request.Route).IsPush && !isPeer)
            return new KvError(ErrorCode.Unauthorized, "request.role", request.Route.Role.ToString(),
                "a connection that has shown the token of silos");
        ItemStatus[] statuses = ArrayPool<ItemStatus>.Shared.Rent(request.Ids.Count);
        for (int i = 0; i < request.Ids.Count; i++)
            statuses[i] = StatusOf(request.Namespace, request.Route, i, request.Ids[i], Change(opcode, request.Namespace, request.Ids[i]));
        StatusesResponse.Write(output.Buffer, statuses.AsSpan(0, request.Ids.Count), MapEpoch);
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
        {
            bool pinned = engine.Pin(request.Namespace, request.Ids[i], until);
            statuses[i] = StatusOf(request.Namespace, request.Route, i, request.Ids[i], pinned);
        }

        StatusesResponse.Write(output.Buffer, statuses.AsSpan(0, request.Ids.Count), MapEpoch);
        ArrayPool<ItemStatus>.Shared.Return(statuses);
        return null;
    }

    private KvError? Describe(ReadOnlySpan<byte> body)
    {
        if (IdsRequest.TryRead(body, limits, out IdsRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        DescribeResponseWriter writer = DescribeResponseWriter.Begin(output.Buffer, request.Ids.Count, MapEpoch);
        for (int i = 0; i < request.Ids.Count; i++)
        {
            BlockInfo info = engine.Describe(request.Namespace, request.Ids[i]);
            bool moved = info.Reason != MissReason.None && IsMoved(request.Namespace, request.Route, i, request.Ids[i], info.Reason);
            writer.Add(new DescribeItem(
                info.Tiers, moved ? MissReason.Moved : info.Reason, info.Length, info.Codec, info.PayloadCrc,
                info.ExpiryUnixMs, info.PinnedUntilUnixMs, info.Durable));
        }

        writer.End();
        return null;
    }

    /// <summary>What became of a block that was to be changed; one that is here was, whoever owns it.</summary>
    private ItemStatus StatusOf(ushort ns, scoped in RouteView route, int index, BlockId id, bool done) =>
        done ? ItemStatus.Done
        : IsMoved(ns, route, index, id, MissReason.NeverStored) ? ItemStatus.Moved
        : ItemStatus.NotHere;

    private MissReason NotHere(ushort ns, BlockId id) => engine.Describe(ns, id).Reason;

    /// <summary>True for a block that is not here, and not this silo's to have.</summary>
    private bool IsMoved(ushort ns, scoped in RouteView route, int index, BlockId id, MissReason reason) =>
        cluster is not null && reason != MissReason.None && route.Role == RouteRole.Client
        && Admit(ns, route.GroupOf(index, id), AccessKind.Read) == Admission.Moved;
}
