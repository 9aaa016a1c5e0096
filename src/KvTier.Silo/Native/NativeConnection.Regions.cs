using System.Runtime.CompilerServices;
using KvTier.Protocol;
using KvTier.Silo.Regions;

namespace KvTier.Silo.Native;

/// <content>Engine regions: which file, and for whom. The copies are in the two parts beside this one.</content>
internal sealed partial class NativeConnection
{
    private readonly RegionTable regions;

    private KvError? OpenRegion(ReadOnlySpan<byte> body)
    {
        if (!TryOpenRegion(body).TryGet(out RegionOpenResponse? answer, out KvError? error))
        {
            context.Logger.RegionRefused(number, error.Message);
            return error;
        }

        answer.Write(output.Buffer);
        return null;
    }

    private Result<RegionOpenResponse> TryOpenRegion(ReadOnlySpan<byte> body)
    {
        if (CheckRegions() is { } refusal) return refusal;
        if (!RegionOpenRequest.Read(body, limits).TryGet(out RegionOpenRequest? request, out KvError? error)) return error;
        if (Opened(request.Namespace) is not { } ns) return UnknownNamespace(request.Namespace);
        if (CheckLength(ns, 0, request.RowBytes, 0) is not null)
            return KvError.InvalidArgument("regionOpen.rowBytes", request.RowBytes, $"{ns.Profile.BlockBytes}, the block of {ns.Name}");
        Result<EngineRegion> opening = EngineRegion.Open(request, context.Options.Regions, context.Time);
        if (!opening.TryGet(out EngineRegion? region, out error)) return error;
        long fileBytes = region.FileBytes;
        if (!regions.Add(region).TryGet(out int handle, out error)) return error;
        context.Logger.RegionOpened(
            number, handle, request.Engine, request.Path, request.Blocks, request.RowBytes, request.RowStride);
        return new RegionOpenResponse(handle, fileBytes);
    }

    /// <summary>Only a process of the silo's own user, on this machine, may name files.</summary>
    private KvError? CheckRegions()
    {
        if (!context.Options.Regions.Enabled)
            return new KvError(ErrorCode.Unsupported, "regions.enabled", "false", "true in the silo's options");
        if (!isUnix) return new KvError(ErrorCode.Unsupported, "regions", "a TCP connection", "a connection over the Unix socket");
        return PeerCredentials.UidOf(socket) == PeerCredentials.OwnUid ? null : new KvError(
            ErrorCode.Unauthorized, "regions", $"user {PeerCredentials.UidOf(socket)}",
            $"user {PeerCredentials.OwnUid}, whose silo it is");
    }

    private KvError? CloseRegion(ReadOnlySpan<byte> body)
    {
        if (!RegionCloseRequest.Read(body).TryGet(out RegionCloseRequest? request, out KvError? error)) return error;
        if (!regions.Remove(request.Region)) return regions.Find(request.Region).Error;
        EmptyBody.Write(output.Buffer);
        return null;
    }

    /// <summary>Finds a region whose file is as it was, for a request that has a deadline on the machine's clock.</summary>
    private Result<EngineRegion> RegionFor(int handle, long deadlineNs)
    {
        if (!regions.Find(handle).TryGet(out EngineRegion? region, out KvError? error)) return error;
        long leftMs = (deadlineNs - context.Time.GetTimestamp()) / 1_000_000;
        if (leftMs <= 0)
            return new KvError(ErrorCode.DeadlineExceeded, "region.deadlineNs", $"{-leftMs} ms ago", "a time to come");
        if (leftMs > limits.DeadlineMsMax)
            return KvError.LimitExceeded("region.deadlineNs", $"in {leftMs} ms", $"{limits.DeadlineMsMax} ms from now");
        return region.CheckCurrent() is { } changed ? changed : region;
    }

    private int MsUntil(long deadlineNs) => (int)Math.Clamp((deadlineNs - context.Time.GetTimestamp()) / 1_000_000, 1, int.MaxValue);

    private static KvError? CheckRow(EngineRegion region, int index, int row) => row < region.Request.Blocks
        ? null
        : KvError.LimitExceeded($"items[{index}].row", row, $"below {region.Request.Blocks}, the region's rows");

    /// <summary>True when nobody waits for the answer any more.</summary>
    private bool IsEnding => Volatile.Read(ref aborted) != 0;

    private KvError ConnectionGone() => new(ErrorCode.Unavailable, "connection", $"{number} has ended", "an open connection");
}
