using System.Buffers;
using System.Runtime.InteropServices;
using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Attention over the chosen rows, merged with the estimate of the rest; a part is one KV head of one item.</summary>
internal sealed class AttendWork(RecallRun run) : ParallelWork
{
    /// <summary>Bytes of an item's answer: o <c>[W, Hq, D]</c>, then lse <c>[W, Hq]</c>, fp32.</summary>
    internal static long BytesOf(RecallRequest request, BlockLayout layout) =>
        (long)request.Window * request.QueryHeads * (layout.HeadDim + 1) * sizeof(float);

    internal override void Run(int part)
    {
        ItemRun item = run[part / run.KvHeads];
        int head = part % run.KvHeads;
        int group = run.Request.QueryHeads / run.KvHeads;
        int queries = run.Request.Window * group;
        int dim = item.State.Layout.HeadDim;
        float[] room = ArrayPool<float>.Shared.Rent(queries * ((2 * dim) + 1));
        Span<float> own = room.AsSpan(0, queries * dim);
        Span<float> output = room.AsSpan(queries * dim, queries * dim);
        Span<float> lse = room.AsSpan(2 * queries * dim, queries);
        ReadOnlySpan<float> q = QueriesOf(item, head, group, dim, own);
        AttentionPart attention = item.Parts[head];
        foreach (ref Piece piece in item.Pieces[head].Span)
        {
            if (piece.IsThere) Add(item, attention, ref piece, q);
        }

        attention.Finish(output, lse);
        if (run.UsesDevice)
        {
            AttentionMerge.Into(
                output, lse, run.DeviceOutputs.Slice(part * output.Length, output.Length),
                run.DeviceLses.Slice(part * lse.Length, lse.Length));
        }

        if (!item.IsReused && item.Choice.Estimate(head) is { } estimate) MergeEstimate(estimate, output, lse);
        Write(item, head, group, output, lse);
        ArrayPool<float>.Shared.Return(room);
    }

    /// <summary>The queries of a KV head, <c>[W · G, D]</c>.</summary>
    private ReadOnlySpan<float> QueriesOf(ItemRun item, int head, int group, int dim, Span<float> own)
    {
        if (run.Request.Window == 1) return item.Item.Queries.Span.Slice(head * group * dim, group * dim);
        run.CopyQueries(item, head, own);
        return own;
    }

    private void Add(ItemRun item, AttentionPart attention, ref Piece piece, ReadOnlySpan<float> queries)
    {
        BlockLayout layout = item.State.Layout;
        if (item.State.Rope is not { } rope)
        {
            attention.Add(layout.Dtype, piece.Keys.Span, piece.Values.Span, piece.Tokens, queries, run.Scale);
            return;
        }

        int elements = piece.Tokens * layout.HeadDim;
        float[] rows = ArrayPool<float>.Shared.Rent(2 * elements);
        Span<float> keys = rows.AsSpan(0, elements);
        Span<float> values = rows.AsSpan(elements, elements);
        RowConvert.ToSingle(layout.Dtype, piece.Keys.Span, keys);
        RowConvert.ToSingle(layout.Dtype, piece.Values.Span, values);
        for (int t = 0; t < piece.Tokens; t++)
        {
            rope.Rotate(
                keys.Slice(t * layout.HeadDim, layout.HeadDim), item.State.PositionOf(piece.FirstToken + t));
        }

        attention.Add(
            Dtype.Float32, MemoryMarshal.AsBytes(keys), MemoryMarshal.AsBytes(values), piece.Tokens, queries, run.Scale);
        ArrayPool<float>.Shared.Return(rows);
    }

    private static void MergeEstimate(AttentionPart estimate, Span<float> output, Span<float> lse)
    {
        float[] room = ArrayPool<float>.Shared.Rent(output.Length + lse.Length);
        Span<float> otherOutput = room.AsSpan(0, output.Length);
        Span<float> otherLse = room.AsSpan(output.Length, lse.Length);
        estimate.Finish(otherOutput, otherLse);
        AttentionMerge.Into(output, lse, otherOutput, otherLse);
        ArrayPool<float>.Shared.Return(room);
    }

    private void Write(ItemRun item, int head, int group, ReadOnlySpan<float> output, Span<float> lse)
    {
        RecallRequest request = run.Request;
        foreach (ref float value in lse) value *= request.LseMultiplier;
        int dim = item.State.Layout.HeadDim;
        Span<byte> bytes = run.Payload.Span.Slice((int)item.PayloadOffset, (int)item.PayloadLength);
        Span<float> target = MemoryMarshal.Cast<byte, float>(bytes);
        Span<float> targetLse = target[(request.Window * request.QueryHeads * dim)..];
        for (int w = 0; w < request.Window; w++)
        {
            int first = (w * request.QueryHeads) + (head * group);
            output.Slice(w * group * dim, group * dim).CopyTo(target[(first * dim)..]);
            lse.Slice(w * group, group).CopyTo(targetLse[first..]);
        }
    }
}
