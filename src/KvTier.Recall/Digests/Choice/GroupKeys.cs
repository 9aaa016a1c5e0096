namespace KvTier.Recall;

/// <summary>Makes one ranking of the scores of a KV head's queries: summed over the window, reduced over the group.</summary>
internal static class GroupKeys
{
    /// <summary>Writes <see cref="ScoreTable.Keys"/>; NaN for units without tokens and for those that are chosen anyway.</summary>
    /// <param name="table">Scores; masses too, when they are used.</param>
    /// <param name="reduction">Max, sum or mean; union counts as max.</param>
    /// <param name="softmax">True to rank by shares of the mass, false by raw scores.</param>
    internal static void Write(ScoreTable table, GroupReduction reduction, bool softmax)
    {
        Span<float> keys = table.Keys;
        Span<float> head = table.Room.Numbers(table.Units);
        for (int g = 0; g < table.Group; g++)
        {
            Span<float> target = g == 0 ? keys : head;
            WriteHead(table, g, softmax, target);
            if (g == 0) continue;
            if (reduction is GroupReduction.Max or GroupReduction.Union) RowMath.Max(keys, head);
            else RowMath.Add(keys, head);
        }

        if (reduction == GroupReduction.Mean) RowMath.Scale(keys, 1f / table.Group);
        Exclude(table, keys);
    }

    /// <summary>Writes the keys of one query head, summed over the window.</summary>
    internal static void WriteHead(ScoreTable table, int group, bool softmax, Span<float> keys)
    {
        keys.Clear();
        for (int q = group; q < table.Queries; q += table.Group)
        {
            if (!softmax) RowMath.Add(keys, table.Line(table.Logits, q));
            else if (table.Totals[q] > 0) RowMath.AddScaled(keys, table.Line(table.Masses, q), 1 / table.Totals[q]);
        }
    }

    /// <summary>Makes keys NaN that must not be ranked.</summary>
    internal static void Exclude(ScoreTable table, Span<float> keys)
    {
        for (int u = 0; u < keys.Length; u++)
            if (table.Forced[u] != 0 || table.Counts[u] == 0) keys[u] = float.NaN;
    }
}
