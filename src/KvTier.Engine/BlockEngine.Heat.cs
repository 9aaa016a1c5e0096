namespace KvTier.Engine;

/// <summary>What is known from elsewhere about how wanted blocks are.</summary>
public sealed partial class BlockEngine
{
    /// <summary>Blocks changed under one hold of the lock.</summary>
    private const int HeatStep = 256;

    /// <summary>Marks blocks as used now, as <see cref="Touch"/> does. Counts no hits.</summary>
    /// <returns>How many of them are here.</returns>
    public int Warm(ushort ns, ReadOnlySpan<BlockId> ids)
    {
        int here = 0;
        for (int start = 0; start < ids.Length; start += HeatStep)
        {
            lock (state.Gate)
            {
                foreach (BlockId id in ids.Slice(start, Math.Min(HeatStep, ids.Length - start)))
                {
                    if (!TryFind(ns, id, out uint number)) continue;
                    state.Touch(ref state.Index[number]);
                    here++;
                }
            }
        }

        return here;
    }

    /// <summary>
    /// Moves blocks to where those stand that leave host memory first, and lets them go with their segment of the log. A later use warms
    /// them again.
    /// </summary>
    /// <returns>How many of them are here.</returns>
    public int Cool(ushort ns, ReadOnlySpan<BlockId> ids)
    {
        int here = 0;
        for (int start = 0; start < ids.Length; start += HeatStep)
        {
            lock (state.Gate)
            {
                foreach (BlockId id in ids.Slice(start, Math.Min(HeatStep, ids.Length - start)))
                {
                    if (!TryFind(ns, id, out uint number)) continue;
                    ref BlockEntry entry = ref state.Index[number];
                    entry.Flags &= ~EntryFlags.Hot;
                    if (entry.Slot >= 0) state.Host.Cool(entry.Slot);
                    here++;
                }
            }
        }

        return here;
    }

    /// <summary>Lets go of the copy in host memory of a block that is in the log.</summary>
    /// <returns>False when it has none there, or may not go: it is leased, pinned, or not in the log.</returns>
    public bool Demote(ushort ns, BlockId id)
    {
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            ref BlockEntry entry = ref state.Index[number];
            if (!IsInHost(entry) || entry.Address.IsNone || entry.Has(EntryFlags.Pinned) || !state.MayGo(entry.Slot)) return false;
            state.DetachSlot(ref entry);
            state.Counters.Demotions++;
            return true;
        }
    }
}
