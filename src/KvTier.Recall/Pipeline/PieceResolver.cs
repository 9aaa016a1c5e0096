namespace KvTier.Recall;

/// <summary>Gives every piece its rows, and names those that have none.</summary>
internal static class PieceResolver
{
    /// <summary>Resolves the pieces of an item.</summary>
    internal static void Resolve(RecallRun run, ItemRun item)
    {
        foreach (RunList<Piece> pieces in item.Pieces)
        {
            int head = Array.IndexOf(item.Pieces, pieces);
            for (int i = 0; i < pieces.Count; i++)
            {
                ref Piece piece = ref pieces[i];
                MissReason reason = piece.Read < 0 ? ResolveWhole(run, item, head, ref piece) : ResolveRead(run, item, ref piece);
                if (reason != MissReason.None) item.Missing.Add(new MissingTokens(piece.FirstToken, piece.Tokens, reason));
            }
        }

        if (item.Missing.Count > 1) Merge(item.Missing);
    }

    private static MissReason ResolveWhole(RecallRun run, ItemRun item, int head, ref Piece piece)
    {
        ref BlockSource source = ref run.Sources[piece.Source];
        if (source.OnDevice is not null) return MissReason.None;
        if (!source.IsLeased) return source.Reason;
        BlockLayout layout = item.State.Layout;
        int token = (int)(piece.FirstToken - ((long)source.Block * layout.BlockTokens));
        int bytes = piece.Tokens * layout.RowBytes;
        piece.Keys = source.Payload.Slice((int)layout.KeyOffset(item.Item.Layer, head, token), bytes);
        piece.Values = source.Payload.Slice((int)layout.ValueOffset(item.Item.Layer, head, token), bytes);
        return MissReason.None;
    }

    private static MissReason ResolveRead(RecallRun run, ItemRun item, ref Piece piece)
    {
        ref GranuleRead read = ref run.Reads[piece.Read];
        if (read.Reason != MissReason.None) return read.Reason;
        BlockLayout layout = item.State.Layout;
        int token = (int)(piece.FirstToken % item.State.Checks.GranuleTokens);
        int bytes = piece.Tokens * layout.RowBytes;
        piece.Keys = read.Memory.Slice(token * layout.RowBytes, bytes);
        piece.Values = layout.SharedRows ? piece.Keys : read.Memory.Slice(read.KeyBytes + (token * layout.RowBytes), bytes);
        return MissReason.None;
    }

    /// <summary>Makes runs of tokens ascend without overlap: KV heads name the same ones.</summary>
    internal static void Merge(List<MissingTokens> missing)
    {
        missing.Sort((a, b) => a.FirstToken != b.FirstToken ? a.FirstToken.CompareTo(b.FirstToken) : b.Tokens.CompareTo(a.Tokens));
        int last = 0;
        for (int i = 1; i < missing.Count; i++)
        {
            MissingTokens before = missing[last];
            MissingTokens next = missing[i];
            long end = Math.Max(before.FirstToken + before.Tokens, next.FirstToken + next.Tokens);
            bool joins = next.FirstToken < before.FirstToken + before.Tokens
                || (next.FirstToken == before.FirstToken + before.Tokens && next.Reason == before.Reason);
            if (joins) missing[last] = before with { Tokens = (int)(end - before.FirstToken) };
            else missing[++last] = next;
        }

        missing.RemoveRange(last + 1, missing.Count - last - 1);
    }
}
