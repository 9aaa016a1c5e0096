namespace KvTier.Engine;

/// <summary>What a cluster needs to know of the blocks here: all of them, their groups, and how to let one go.</summary>
public sealed partial class BlockEngine
{
    /// <summary>A cursor of <see cref="WalkGroups"/> from here on stands for a place in the table of groups.</summary>
    private const long GroupsCursor = 1L << 40;

    /// <summary>Payload bytes of all blocks of all namespaces, each block once, whatever tiers it is in.</summary>
    public long UsedBytes
    {
        get
        {
            lock (state.Gate) return state.Counters.BlockBytes;
        }
    }

    /// <summary>Walks the blocks of all namespaces but internal ones. A block that stays is seen exactly once by a walk from 0 to 0; one
    /// that comes or goes meanwhile may or may not be.</summary>
    /// <param name="cursor">0 to begin; then what the last call returned. A call looks at 16,384 entries at most, so it may find none
    /// and not be at the end.</param>
    /// <param name="found">Takes up to its length of blocks.</param>
    /// <param name="count">Blocks taken.</param>
    /// <returns>The next cursor; 0 at the end.</returns>
    public long Walk(long cursor, Span<EngineBlock> found, out int count)
    {
        count = 0;
        lock (state.Gate)
        {
            if (state.Closed) return 0;
            long number = Math.Clamp(cursor, 1, state.Index.Top);
            for (int left = EntriesPerScan; left > 0 && number < state.Index.Top; left--, number++)
            {
                if (count == found.Length) return number;
                if (!IsWalked((uint)number)) continue;
                ref BlockEntry entry = ref state.Index[(uint)number];
                found[count++] = new EngineBlock(entry.Namespace, entry.Id, state.GroupOf((uint)number), entry.Length);
            }

            return number >= state.Index.Top ? 0 : number;
        }
    }

    /// <summary>Walks the groups that have blocks here, in all namespaces but internal ones. A group that stays is seen by a walk from
    /// 0 to 0, and once, unless it gets its second block meanwhile: then it may be seen twice.</summary>
    /// <param name="cursor">As for <see cref="Walk"/>.</param>
    /// <param name="found">Takes up to its length of groups.</param>
    /// <param name="count">Groups taken.</param>
    /// <returns>The next cursor; 0 at the end.</returns>
    public long WalkGroups(long cursor, Span<EngineGroup> found, out int count)
    {
        count = 0;
        lock (state.Gate)
        {
            if (state.Closed) return 0;
            return cursor < GroupsCursor ? WalkSingleBlocks(cursor, found, ref count) : WalkTable(cursor, found, ref count);
        }
    }

    /// <summary>Lets a block go for good, as <see cref="Delete"/> does, with the reason that later misses of it are put down to.</summary>
    /// <param name="ns">The namespace.</param>
    /// <param name="id">The block.</param>
    /// <param name="reason">The reason; remembered as long as the ledger of misses has room, and not over a restart.</param>
    /// <returns>False when it was not here.</returns>
    public bool Drop(ushort ns, BlockId id, MissReason reason)
    {
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            state.Remove(number, reason, tombstone: true);
            return true;
        }
    }

    private bool IsWalked(uint number)
    {
        ushort ns = state.Index[number].Namespace;
        return ns != BlockEntry.FreeNamespace && !state.Namespaces.IsKept(ns) && !state.IsExpired(number);
    }

    // Blocks that are the only one of their group are not in the table.
    private long WalkSingleBlocks(long cursor, Span<EngineGroup> found, ref int count)
    {
        long number = Math.Clamp(cursor, 1, state.Index.Top);
        for (int left = EntriesPerScan; left > 0 && number < state.Index.Top; left--, number++)
        {
            if (count == found.Length) return number;
            if (state.Index.GroupOf((uint)number) != 0 || !IsWalked((uint)number)) continue;
            ref BlockEntry entry = ref state.Index[(uint)number];
            found[count++] = new EngineGroup(entry.Namespace, entry.Id, 1, entry.Length);
        }

        return number >= state.Index.Top ? GroupsCursor + 1 : number;
    }

    private long WalkTable(long cursor, Span<EngineGroup> found, ref int count)
    {
        long number = cursor - GroupsCursor;
        for (int left = EntriesPerScan; left > 0 && number < state.Groups.Top; left--, number++)
        {
            if (count == found.Length) return GroupsCursor + number;
            ref GroupEntry group = ref state.Groups[(uint)number];
            if (group.Blocks == 0 || state.Namespaces.IsKept(group.Namespace)) continue;
            found[count++] = new EngineGroup(group.Namespace, group.Id, group.Blocks, group.Bytes);
        }

        return number >= state.Groups.Top ? 0 : GroupsCursor + number;
    }
}
