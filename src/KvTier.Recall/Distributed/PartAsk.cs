namespace KvTier.Recall;

/// <summary>What a recall over parts names beside the request.</summary>
/// <param name="Stamps">What the part of each item must be.</param>
/// <param name="Choices">What is chosen of each item; null, or null for an item, to choose by the selector.</param>
internal sealed record PartAsk(ulong[] Stamps, PartChoice?[]? Choices = null)
{
    /// <summary>Checks that the parts are what was meant. In their turns.</summary>
    internal KvError? Check(RecallRun run)
    {
        for (int i = 0; i < run.ItemCount; i++)
        {
            SequenceState? state = run.Grains.Find(each => each.Name == run.Request.Items[i].Sequence)?.State;
            if (state is null || state.Stamp != Stamps[i]) return new KvError(ErrorCode.Conflict, "part", run.Request.Items[i].Sequence);
        }

        return null;
    }
}

/// <summary>The units of a part that were chosen by whoever sees the whole sequence.</summary>
/// <param name="Counts">Units of each KV head.</param>
/// <param name="Units">The units, counted in the part, one KV head after the other, ascending.</param>
internal sealed record PartChoice(int[] Counts, int[] Units)
{
    /// <summary>True when the units are those of a part.</summary>
    internal bool Fits(int heads, int units)
    {
        if (Counts.Length != heads || Array.Exists(Counts, count => count < 0) || Counts.Sum(count => (long)count) != Units.Length) return false;
        for (int head = 0, at = 0; head < heads; at += Counts[head++])
        {
            for (int i = at; i < at + Counts[head]; i++)
            {
                if (Units[i] < 0 || Units[i] >= units || (i > at && Units[i] <= Units[i - 1])) return false;
            }
        }

        return true;
    }
}
