namespace KvTier.Recall;

/// <summary>Copies the rows of a gather to the payload; a part is one KV head of one item.</summary>
internal sealed class GatherWork(RecallRun run) : ParallelWork
{
    /// <summary>Bytes of an item's rows in the payload: <c>[K,V][Hkv][n][D]</c> in any order; <c>[Hkv][n][D]</c> for MLA.</summary>
    internal static long BytesOf(ItemRun item)
    {
        BlockLayout layout = item.State.Layout;
        return (long)(layout.SharedRows ? 1 : 2) * layout.KvHeads * item.GatherRows * layout.RowBytes;
    }

    internal override void Run(int part)
    {
        ItemRun item = run[part / run.KvHeads];
        int head = part % run.KvHeads;
        if (item.GatherRows == 0) return;
        int from = 0;
        for (int h = 0; h < head; h++) from += item.SentCounts[h];
        int row = 0;
        for (int i = from; i < from + item.SentCounts[head]; i++)
        {
            int tokens = GatherPlan.TokensOf(item, item.Sent[i]);
            Copy(item, head, (long)item.Sent[i] * item.Choice.UnitTokens, tokens, row);
            row += tokens;
        }

        Clear(item, head, row);
    }

    private void Copy(ItemRun item, int head, long first, int tokens, int row)
    {
        RunList<Piece> pieces = item.Pieces[head];
        int rowBytes = item.State.Layout.RowBytes;
        for (int i = GatherPlan.FindPiece(pieces, first); tokens > 0; i++)
        {
            ref Piece piece = ref pieces[i];
            int skip = (int)(first - piece.FirstToken);
            int some = Math.Min(tokens, piece.Tokens - skip);
            Put(item, head, row, 0, piece.Keys.Span.Slice(skip * rowBytes, some * rowBytes));
            if (!item.State.Layout.SharedRows) Put(item, head, row, 1, piece.Values.Span.Slice(skip * rowBytes, some * rowBytes));
            first += some;
            row += some;
            tokens -= some;
        }
    }

    /// <summary>Fills the rows of a KV head that has fewer than others with zeros.</summary>
    private void Clear(ItemRun item, int head, int row)
    {
        int rowBytes = item.State.Layout.RowBytes;
        for (; row < item.GatherRows; row++)
        {
            Target(item, head, row, 0).Slice(0, rowBytes).Clear();
            if (!item.State.Layout.SharedRows) Target(item, head, row, 1).Slice(0, rowBytes).Clear();
        }
    }

    private void Put(ItemRun item, int head, int row, int keyOrValue, ReadOnlySpan<byte> rows)
    {
        if (run.Request.Layout != GatherLayout.KvTokenHead)
        {
            rows.CopyTo(Target(item, head, row, keyOrValue));
            return;
        }

        int rowBytes = item.State.Layout.RowBytes;
        for (int i = 0; i * rowBytes < rows.Length; i++)
            rows.Slice(i * rowBytes, rowBytes).CopyTo(Target(item, head, row + i, keyOrValue));
    }

    private Span<byte> Target(ItemRun item, int head, int row, int keyOrValue)
    {
        int kinds = item.State.Layout.SharedRows ? 1 : 2;
        long n = item.GatherRows;
        long index = run.Request.Layout switch
        {
            GatherLayout.KvHeadToken => ((((long)keyOrValue * run.KvHeads) + head) * n) + row,
            GatherLayout.HeadKvToken => ((((long)head * kinds) + keyOrValue) * n) + row,
            _ => (((keyOrValue * n) + row) * run.KvHeads) + head,
        };
        return run.Payload.Span[(int)(item.PayloadOffset + (index * item.State.Layout.RowBytes))..];
    }
}
