namespace KvTier.Engine;

/// <summary>The groups that blocks belong to.</summary>
internal sealed partial class EngineState
{
    /// <summary>Group of a block; its own id when it was given no other.</summary>
    internal BlockId GroupOf(uint number)
    {
        uint ordinal = Index.GroupOf(number);
        return ordinal == 0 ? Index[number].Id : Groups[ordinal].Id;
    }

    /// <summary>Group of a block as the log has it: default for its own id.</summary>
    internal BlockId RecordedGroupOf(uint number)
    {
        BlockId group = GroupOf(number);
        return group == Index[number].Id ? default : group;
    }

    /// <summary>Sets length and group of an entry that has neither.</summary>
    internal void AddContent(uint number, int length, BlockId group)
    {
        ref BlockEntry entry = ref Index[number];
        entry.Length = length;
        Counters.BlockBytes += length;
        uint ordinal = OrdinalOf(entry.Namespace, entry.Id, group);
        Index.GroupOf(number) = ordinal;
        if (ordinal != 0) Groups.AddBlock(ordinal, length);
    }

    /// <summary>Takes length and group from an entry, as its block goes or is replaced.</summary>
    internal void RemoveContent(uint number)
    {
        ref BlockEntry entry = ref Index[number];
        ref uint ordinal = ref Index.GroupOf(number);
        Counters.BlockBytes -= entry.Length;
        if (ordinal != 0) Groups.RemoveBlock(ordinal, entry.Length);
        entry.Length = 0;
        ordinal = 0;
    }

    // A block alone in the group that it names needs no place in the table. With the second block the group comes into it, and the first
    // one is counted there too.
    private uint OrdinalOf(ushort ns, BlockId id, BlockId group)
    {
        bool isOwn = group == default || group == id;
        uint ordinal = Groups.Find(ns, isOwn ? id : group);
        if (isOwn || ordinal != 0) return ordinal;
        ordinal = Groups.Add(ns, group);
        uint head = Index.Find(ns, group);
        if (head == 0 || Index.GroupOf(head) != 0) return ordinal;
        Index.GroupOf(head) = ordinal;
        Groups.AddBlock(ordinal, Index[head].Length);
        return ordinal;
    }
}
