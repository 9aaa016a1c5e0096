using System.Runtime.InteropServices;

namespace KvTier.Recall;

/// <summary>Gathers over several silos: says which units are sent, and brings their rows together.</summary>
internal static class SpreadGather
{
    /// <summary>Checks that the caller's slots take what is chosen.</summary>
    /// <returns>Null, or the error of a caller with too few slots.</returns>
    internal static KvError? CheckSlots(SpreadItem item, int index)
    {
        int heads = item.Choice.KvHeads;
        int held = item.Item.Held.Length / heads;
        for (int head = 0; head < heads; head++)
        {
            if (held > 0 && item.Choice.Units(head).Length > held)
            {
                return KvError.LimitExceeded(
                    $"items[{index}].held", $"{item.Choice.Units(head).Length} units chosen for a KV head", $"{held} slots");
            }
        }

        return null;
    }

    /// <summary>Says which units of each KV head are sent, in which order, and what the slots are to hold: all that were chosen, were not
    /// held and are there.</summary>
    internal static void Resolve(SpreadItem item, RecallMode mode)
    {
        int heads = item.Choice.KvHeads;
        int held = item.Item.Held.Length / heads;
        item.SentCounts = new int[heads];
        item.Slots = held > 0 ? new int[item.Item.Held.Length] : [];
        var units = new List<int>();
        var left = new List<MissingTokens>();
        for (int head = 0; head < heads; head++)
        {
            units.Clear();
            foreach (int unit in item.Choice.Units(head))
            {
                if (mode != RecallMode.Gather || item.IsHeld(head, unit) || WhyNotThere(item, unit) is not { } why) units.Add(unit);
                else left.Add(new MissingTokens((long)unit * item.UnitTokens, item.TokensOf(unit), why));
            }

            int before = item.Sent.Count;
            if (held > 0)
            {
                SlotDiff.Assign(
                    item.Item.Held.Span.Slice(head * held, held), CollectionsMarshal.AsSpan(units), item.Slots.AsSpan(head * held, held),
                    item.Sent);
            }
            else
            {
                item.Sent.AddRange(units);
            }

            item.SentCounts[head] = item.Sent.Count - before;
            item.GatherRows = Math.Max(item.GatherRows, item.Sent.Skip(before).Sum(item.TokensOf));
        }

        item.Missing.AddRange(left);
        if (left.Count > 0) PieceResolver.Merge(item.Missing);
    }

    /// <summary>Bytes of an item's rows.</summary>
    internal static long BytesOf(SpreadItem item)
    {
        BlockLayout layout = item.State.Layout;
        return (long)(layout.SharedRows ? 1 : 2) * layout.KvHeads * item.GatherRows * layout.RowBytes;
    }

    /// <summary>Writes the rows in the order asked for, zeros where a KV head has fewer.</summary>
    internal static void Write(SpreadItem item, GatherLayout order, Span<byte> target)
    {
        target.Clear();
        BlockLayout layout = item.State.Layout;
        int kinds = layout.SharedRows ? 1 : 2;
        Dictionary<int, int>[] rowsOf = [.. item.Answers.Select(_ => new Dictionary<int, int>())];
        for (int head = 0, from = 0; head < layout.KvHeads; from += item.SentCounts[head++])
        {
            for (int part = 0; part < rowsOf.Length; part++) IndexRows(item, part, head, rowsOf[part]);
            int row = 0;
            for (int i = from; i < from + item.SentCounts[head]; i++)
            {
                int unit = item.Sent[i];
                int part = Array.FindIndex(rowsOf, rows => rows.ContainsKey(unit));
                int tokens = item.TokensOf(unit);
                PartAnswerItem answer = item.Answers[part]!;
                for (int kind = 0; kind < kinds; kind++)
                {
                    for (int t = 0; t < tokens; t++)
                    {
                        long rows = (((long)kind * layout.KvHeads) + head) * answer.GatherRows;
                        long index = (rows + rowsOf[part][unit] + t) * layout.RowBytes;
                        answer.Payload.Span.Slice((int)index, layout.RowBytes)
                            .CopyTo(target[(int)(IndexOf(item, order, kinds, kind, head, row + t) * layout.RowBytes)..]);
                    }
                }

                row += tokens;
            }
        }
    }

    /// <summary>Notes in which rows of a part's answer the units of a KV head are.</summary>
    private static void IndexRows(SpreadItem item, int part, int head, Dictionary<int, int> rows)
    {
        rows.Clear();
        if (item.Answers[part] is not { } answer) return;
        int from = 0;
        for (int h = 0; h < head; h++) from += answer.SentCounts[h];
        int row = 0;
        for (int i = from; i < from + answer.SentCounts[head]; i++)
        {
            int unit = item.Places.Parts[part].ToSequence(answer.Sent[i], item.UnitsPerBlock);
            rows[unit] = row;
            row += item.TokensOf(unit);
        }
    }

    private static long IndexOf(SpreadItem item, GatherLayout order, int kinds, int kind, int head, int row)
    {
        int heads = item.Choice.KvHeads;
        return order switch
        {
            GatherLayout.KvHeadToken => ((((long)kind * heads) + head) * item.GatherRows) + row,
            GatherLayout.HeadKvToken => ((((long)head * kinds) + kind) * item.GatherRows) + row,
            _ => ((((long)kind * item.GatherRows) + row) * heads) + head,
        };
    }

    private static MissReason? WhyNotThere(SpreadItem item, int unit)
    {
        long first = (long)unit * item.UnitTokens;
        long end = first + item.TokensOf(unit);
        foreach (MissingTokens run in item.Missing)
        {
            if (run.FirstToken < end && run.FirstToken + run.Tokens > first) return run.Reason;
        }

        return null;
    }
}
