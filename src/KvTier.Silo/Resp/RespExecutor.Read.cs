using System.Buffers;
using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Resp;

/// <summary>Commands that return values.</summary>
internal sealed partial class RespExecutor
{
    private TimeSpan ReadDeadline => TimeSpan.FromMilliseconds(server.Limits.ReadMs);

    private ValueTask GetAsync()
    {
        BlockId id = Id(1);
        MissReason reason = Engine.TryLease(Namespace, id, out BlockLease lease);
        if (reason == MissReason.Deadline) return GetFromLogAsync(id);
        if (reason == MissReason.None) return ReplyAsync(lease, 0, lease.Length);
        Miss(reason);
        return default;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask GetFromLogAsync(BlockId id)
    {
        LeaseResult result = await Engine.LeaseAsync(Namespace, id, ReadDeadline);
        if (result.Reason == MissReason.None) await ReplyAsync(result.Lease, 0, result.Lease.Length);
        else Miss(result.Reason);
    }

    /// <summary>
    /// Null, or an error when the value may be there and could not be read: a client must not take that for a missing key.
    /// </summary>
    private void Miss(MissReason reason)
    {
        if (reason == MissReason.Deadline) output.Error($"ERR DeadlineExceeded: value was not read within {server.Limits.ReadMs} ms");
        else if (reason == MissReason.ShuttingDown) output.Error("ERR ShuttingDown: the silo takes no more requests");
        else output.Null();
    }

    /// <summary>Answers with a range of a leased value and gives the lease back.</summary>
    private ValueTask ReplyAsync(in BlockLease lease, int offset, int length)
    {
        output.BulkHead(length);
        if (length > RespLimits.CopyBytesMax && !output.Muted) return SendAsync(lease, offset, length);
        if (length > 0) output.Raw(Engine.Arena.Slice(lease.Offset + offset, length).Span);
        output.Raw("\r\n"u8);
        Engine.Release(lease);
        return default;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAsync(BlockLease lease, int offset, int length)
    {
        try
        {
            await output.SendValueAsync(Engine.Arena.Slice(lease.Offset + offset, length));
        }
        finally
        {
            Engine.Release(lease);
        }
    }

    private ValueTask GetRangeAsync()
    {
        if (!RespNumber.TryParse(Arg(2), out long first) || !RespNumber.TryParse(Arg(3), out long last))
        {
            output.NotAnInteger();
            return default;
        }

        BlockId id = Id(1);
        MissReason reason = Engine.TryLease(Namespace, id, out BlockLease lease);
        if (reason == MissReason.Deadline) return GetRangeFromLogAsync(id, first, last);
        if (reason == MissReason.None) return ReplyRangeAsync(lease, first, last);
        MissRange(reason);
        return default;
    }

    private async ValueTask GetRangeFromLogAsync(BlockId id, long first, long last)
    {
        LeaseResult result = await Engine.LeaseAsync(Namespace, id, ReadDeadline);
        if (result.Reason == MissReason.None) await ReplyRangeAsync(result.Lease, first, last);
        else MissRange(result.Reason);
    }

    private void MissRange(MissReason reason)
    {
        if (reason is MissReason.Deadline or MissReason.ShuttingDown) Miss(reason);
        else output.Bulk(default(ReadOnlySpan<byte>));
    }

    private ValueTask ReplyRangeAsync(in BlockLease lease, long first, long last)
    {
        long length = lease.Length;
        bool empty = first < 0 && last < 0 && first > last;
        if (first < 0) first = Math.Max(0, length + first);
        if (last < 0) last = Math.Max(0, length + last);
        last = Math.Min(last, length - 1);
        if (empty || first > last || length == 0) return ReplyAsync(lease, 0, 0);
        return ReplyAsync(lease, (int)first, (int)(last - first + 1));
    }
}
