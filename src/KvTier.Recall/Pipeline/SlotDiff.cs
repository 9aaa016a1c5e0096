namespace KvTier.Recall;

/// <summary>
/// What a caller's slots are to hold, so that as little as possible is sent (NOSA): a unit that is held keeps its slot, the k-th missing
/// one goes to the k-th free slot.
/// </summary>
internal static class SlotDiff
{
    /// <summary>Assigns slots for one KV head.</summary>
    /// <param name="held">Unit in each slot, -1 for none.</param>
    /// <param name="units">Units chosen, ascending, at most as many as slots.</param>
    /// <param name="slots">Receives the unit of each slot, -1 for none.</param>
    /// <param name="sent">Receives the units that were not held, ascending by slot.</param>
    internal static void Assign(ReadOnlySpan<int> held, ReadOnlySpan<int> units, Span<int> slots, List<int> sent)
    {
        int kept = 0;
        for (int slot = 0; slot < held.Length; slot++)
        {
            bool stays = held[slot] >= 0 && units.BinarySearch(held[slot]) >= 0;
            slots[slot] = stays ? held[slot] : -1;
            if (stays) kept++;
        }

        int free = 0;
        int missing = units.Length - kept;
        for (int i = 0; i < units.Length && missing > 0; i++)
        {
            if (held.Contains(units[i])) continue;
            while (slots[free] >= 0) free++;
            slots[free] = units[i];
            sent.Add(units[i]);
            missing--;
        }
    }
}
