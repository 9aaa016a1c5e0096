using System.Buffers;
using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Silo.Regions;

namespace KvTier.Silo.Native;

/// <summary>The part of a region load that a get has not.</summary>
internal sealed record RegionLoadPlan(EngineRegion Region, int[] Rows, long DeadlineNs);

/// <content>Region loads: blocks are leased as for a get, and written into rows of an engine's file, beside the loop.</content>
internal sealed partial class NativeConnection
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask HandleRegionLoadAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        GetWork work = getPool.Rent();
        Result<RegionLoadPlan> begun = BeginRegionLoad(work, header, body.Span, receivedAt);
        if (begun.TryGet(out RegionLoadPlan? plan, out KvError? error))
        {
            if (IsBehind(work.Route.Epoch)) await CatchUpAsync(work.Route.Epoch);
            error = LeaseWhatIsHere(work);
        }

        if (error is not null)
        {
            getPool.Return(work);
            await SendErrorAsync(header, error);
            return;
        }

        await AnswerLaterAsync(work, late => LoadRowsAsync(late, plan!));
    }

    private Result<RegionLoadPlan> BeginRegionLoad(GetWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (RegionLoadRequest.TryRead(body, limits, out RegionLoadRequest request) is { } malformed) return malformed;
        if (!RegionFor(request.Region, request.DeadlineNs).TryGet(out EngineRegion? region, out KvError? error)) return error;
        int[] rows = new int[request.Rows.Count];
        request.Rows.CopyTo(rows);
        for (int i = 0; i < rows.Length; i++)
        {
            if (rows[i] < 0) return KvError.InvalidArgument($"items[{i}].row", rows[i], "0 or more");
            if (CheckRow(region, i, rows[i]) is { } outside) return outside;
        }

        work.Begin(header, receivedAt, region.Request.Namespace, MsUntil(request.DeadlineNs), 0, request.Ids, default);
        if (cluster is not null) work.BeginRouted(request.Route);
        return new RegionLoadPlan(region, rows, request.DeadlineNs);
    }

    /// <summary>Writes the rows of what is leased, and answers.</summary>
    private async ValueTask LoadRowsAsync(GetWork work, RegionLoadPlan plan)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        GetStatus[] statuses = ArrayPool<GetStatus>.Shared.Rent(Math.Max(work.Count, 1));
        try
        {
            KvError? first = null;
            for (int i = 0; i < work.Count; i++)
            {
                statuses[i] = LoadRow(work, i, plan, out KvError? error);
                first ??= error;
                work.Release(engine, i);
            }

            if (first is not null) context.Metrics.ErrorSent(first.Code);
            await SendRegionLoadAsync(work, statuses, first);
        }
        finally
        {
            ArrayPool<GetStatus>.Shared.Return(statuses);
            work.ReleaseAll(engine);
            work.End();
            getPool.Return(work);
        }
    }

    private GetStatus LoadRow(GetWork work, int index, RegionLoadPlan plan, out KvError? error)
    {
        error = null;
        if (!work.IsHit(index)) return work.Results[index].Reason.ToGetStatus();
        BlockLease lease = work.Results[index].Lease;
        if (IsEnding)
        {
            error = ConnectionGone();
            return GetStatus.Deadline;
        }

        if (lease.Length != plan.Region.Request.RowBytes || lease.Codec != 0)
        {
            error = KvError.InvalidArgument($"items[{index}].length", $"{lease.Length} of codec {lease.Codec}",
                $"{plan.Region.Request.RowBytes}, a raw row of the region");
            return GetStatus.NeverStored;
        }

        long start = context.Time.GetTimestamp();
        ReadOnlySpan<byte> slot = engine.Arena.Slice(lease.Offset, lease.Length).Span;
        if (Crc32C.Compute(slot) != lease.PayloadCrc)
        {
            engine.Quarantine(work.Namespace, work.Ids[index], lease.PayloadCrc);
            return GetStatus.Corrupt;
        }

        error = plan.Region.Write(plan.Rows[index], slot, plan.DeadlineNs);
        if (error is not null)
        {
            context.Metrics.Regions.RowFailed();
            return GetStatus.Deadline;
        }

        context.Metrics.Regions.RowLoaded(lease.Length);
        context.Desk.Bandwidth.Add(Engines.LoadPath.Local, lease.Length, context.Time.GetElapsedTime(start));
        return GetStatusExtensions.HitFrom(lease.Source);
    }

    private async ValueTask SendRegionLoadAsync(GetWork work, GetStatus[] statuses, KvError? error)
    {
        await output.AcquireAsync();
        try
        {
            int start = Frame.Begin(output.Buffer);
            RegionLoadResponse.Write(output.Buffer, statuses.AsSpan(0, work.Count), error, MapEpoch);
            Frame.Complete(output.Buffer, start, FrameKind.Response, work.Header.Opcode, work.Header.RequestId);
        }
        finally
        {
            output.Release();
        }

        Done(work.Header, work.ReceivedAt);
    }
}
