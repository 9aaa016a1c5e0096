namespace KvTier.Recall;

/// <summary>What a recall over parts names beside the request.</summary>
/// <param name="Stamps">What the part of each item must be.</param>
/// <param name="Choices">What is chosen of each item; null, or null for an item, to choose by the selector.</param>
/// <param name="Tables">Scores of each item's KV heads for estimates; empty for an item that has none.</param>
internal sealed record PartAsk(ulong[] Stamps, PartChoice?[]? Choices = null, ArraySegment<ScoreTable>[]? Tables = null)
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
/// <param name="Estimated">The units (clusters, where there are any) that are estimated, for each KV head; null for all others.</param>
internal sealed record PartChoice(int[] Counts, int[] Units, int[][]? Estimated = null)
{
    /// <summary>The units that are estimated of a KV head; null for all others.</summary>
    internal int[]? EstimatedOf(int head) => Estimated?[head];

    /// <summary>Writes it.</summary>
    internal void Write(MessageWriter writer)
    {
        writer.Numbers<int>(Counts);
        writer.Numbers<int>(Units);
        writer.Flag(Estimated is not null);
        foreach (int[] units in Estimated ?? []) writer.Numbers<int>(units);
    }

    /// <summary>Reads it.</summary>
    internal static PartChoice Read(ref MessageReader reader)
    {
        int[] counts = reader.Numbers<int>();
        int[] units = reader.Numbers<int>();
        int[][]? estimated = reader.Flag() ? new int[counts.Length][] : null;
        for (int head = 0; head < estimated?.Length; head++) estimated[head] = reader.Numbers<int>();
        return new PartChoice(counts, units, estimated);
    }

    /// <summary>True when the units are those of a part.</summary>
    internal bool Fits(int heads, int units)
    {
        if (Counts.Length != heads || Array.Exists(Counts, count => count < 0)) return false;
        if (Counts.Sum(count => (long)count) != Units.Length) return false;
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
