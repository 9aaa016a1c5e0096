using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>Gets over the local path: leases of blocks where they lie.</content>
internal sealed partial class NativeConnection
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask HandleLocalGetAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        GetWork work = getPool.Rent();
        KvError? error = BeginLocalGet(work, header, body.Span, receivedAt);
        if (error is null)
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

        if (!work.MustWait)
        {
            await SendLocalGetAsync(work);
            return;
        }

        await AnswerLaterAsync(work, SendLocalGetAsync);
    }

    private KvError? BeginLocalGet(GetWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (LocalGetRequest.TryRead(body, limits, out LocalGetRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        if (local.ReadCount + request.Ids.Count > limits.LeasesMax)
            return new KvError(ErrorCode.Busy, "leases", $"{local.ReadCount + request.Ids.Count}", $"{limits.LeasesMax}");
        work.Begin(header, receivedAt, request.Namespace, request.DeadlineMs, LeaseMs(request.LeaseMs), request.Ids, default);
        work.IsChecked = request.Flags.HasFlag(LocalGetFlags.CheckBySilo);
        if (cluster is not null) work.BeginRouted(request.Route);
        return null;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendLocalGetAsync(GetWork work)
    {
        if (work.IsChecked) CheckLeased(work);
        await output.AcquireAsync();
        try
        {
            WriteLocalGet(work);
            await output.FlushIfLargeAsync();
        }
        finally
        {
            output.Release();
            work.End();
        }

        Done(work.Header, work.ReceivedAt);
        getPool.Return(work);
    }

    /// <summary>Computes the checks of what is to be leased; what fails is put away and is a miss.</summary>
    private void CheckLeased(GetWork work)
    {
        for (int i = 0; i < work.Count; i++)
        {
            BlockLease block = work.Results[i].Lease;
            if (!work.IsHit(i) || block.Length == 0) continue;
            if (Crc32C.Compute(engine.Arena.Slice(block.Offset, block.Length).Span) == block.PayloadCrc) continue;
            engine.Quarantine(work.Namespace, work.Ids[i], block.PayloadCrc);
            engine.Release(block);
            work.Results[i] = new LeaseResult(MissReason.Corrupt, default);
        }
    }

    private void WriteLocalGet(GetWork work)
    {
        long deadline = context.Time.GetTimestamp() + (work.LeaseMs * 1_000_000L);
        int start = Frame.Begin(output.Buffer);
        LocalGetResponseWriter writer = LocalGetResponseWriter.Begin(
            output.Buffer, deadline, work.Count, MapEpoch, CopiesOf(work));
        for (int i = 0; i < work.Count; i++)
        {
            ulong lease = work.IsHit(i) ? local.GrantRead(work.Results[i].Lease, deadline) : 0;
            if (lease == 0)
            {
                // A hit that could not be granted because late answers have used the leases up meanwhile counts as one that came too late.
                writer.Add(LocalGetItem.Miss(work.IsHit(i) ? MissReason.Deadline : work.Results[i].Reason));
                continue;
            }

            BlockLease block = work.Results[i].Lease;
            uint check = BlockCheck.Compute(work.Ids[i], block.Codec, 0, block.Length, block.PayloadCrc);
            writer.Add(new LocalGetItem(
                GetStatusExtensions.HitFrom(block.Source), lease, block.Offset, block.Length, block.Codec, check, work.IsChecked));
        }

        writer.End();
        Frame.Complete(output.Buffer, start, FrameKind.Response, work.Header.Opcode, work.Header.RequestId);
    }
}
