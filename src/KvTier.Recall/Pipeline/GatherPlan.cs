namespace KvTier.Recall;

/// <summary>Which units of an item a gather sends, into which slots, and how many rows that makes.</summary>
internal static class GatherPlan
{
    /// <summary>Plans an item whose pieces are resolved.</summary>
    /// <returns>Null, or the error of a caller with too few slots.</returns>
    internal static KvError? Plan(RecallRun run, ItemRun item, int index)
    {
        Selection choice = item.Choice;
        int held = item.Item.Held.Length / run.KvHeads;
        if (held > 0) item.Slots = new int[item.Item.Held.Length];
        var units = new List<int>();
        var left = new List<MissingTokens>();
        for (int head = 0; head < run.KvHeads; head++)
        {
            ReadOnlySpan<int> chosen = choice.Units(head);
            if (held > 0 && chosen.Length > held)
                return KvError.LimitExceeded($"items[{index}].held", $"{chosen.Length} units chosen for a KV head", $"{held} slots");
            int before = item.Sent.Count;
            units.Clear();
            foreach (int unit in chosen)
            {
                MissReason reason = run.Request.Mode == RecallMode.Gather ? WhyNotThere(item, head, unit) : MissReason.None;
                if (reason == MissReason.None) units.Add(unit);
                else left.Add(new MissingTokens((long)unit * choice.UnitTokens, TokensOf(item, unit), reason));
            }

            if (held > 0)
            {
                SlotDiff.Assign(
                    item.Item.Held.Span.Slice(head * held, held), System.Runtime.InteropServices.CollectionsMarshal.AsSpan(units),
                    item.Slots.AsSpan(head * held, held), item.Sent);
            }
            else
            {
                item.Sent.AddRange(units);
            }

            item.SentCounts[head] = item.Sent.Count - before;
            item.GatherRows = Math.Max(item.GatherRows, RowsOf(item, before));
        }

        // Of a unit of which a part can't be read nothing is sent: all its tokens are missing.
        item.Missing.AddRange(left);
        if (left.Count > 0) PieceResolver.Merge(item.Missing);
        return null;
    }

    private static int RowsOf(ItemRun item, int from)
    {
        int rows = 0;
        for (int i = from; i < item.Sent.Count; i++) rows += TokensOf(item, item.Sent[i]);
        return rows;
    }

    /// <summary>Tokens of a unit; the last one may have fewer.</summary>
    internal static int TokensOf(ItemRun item, int unit) =>
        (int)Math.Min(item.Choice.UnitTokens, item.State.Tokens - ((long)unit * item.Choice.UnitTokens));

    private static MissReason WhyNotThere(ItemRun item, int head, int unit)
    {
        if (item.Missing.Count == 0) return MissReason.None;
        RunList<Piece> pieces = item.Pieces[head];
        long first = (long)unit * item.Choice.UnitTokens;
        long end = first + TokensOf(item, unit);
        for (int i = FindPiece(pieces, first); i < pieces.Count && pieces[i].FirstToken < end; i++)
        {
            if (!pieces[i].IsThere) return item.Missing.Find(run => run.FirstToken + run.Tokens > pieces[i].FirstToken).Reason;
        }

        return MissReason.None;
    }

    /// <summary>The piece that has a token, which is in one.</summary>
    internal static int FindPiece(RunList<Piece> pieces, long token)
    {
        int low = 0;
        int high = pieces.Count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (pieces[middle].FirstToken <= token) low = middle;
            else high = middle - 1;
        }

        return low;
    }
}
