using System.Runtime.InteropServices;

namespace KvTier.Engine;

/// <summary>The two neighbours of a slot in a list.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SlotLink
{
    internal int Newer;
    internal int Older;
}

/// <summary>A doubly linked list of slots over links that several lists may share; a slot is in one of them at most.</summary>
/// <param name="links">The links, indexed by slot.</param>
internal sealed class SlotList(ReservedArray<SlotLink> links)
{
    private const int None = -1;

    private int newest = None;

    /// <summary>Slots in the list.</summary>
    internal long Count { get; private set; }

    /// <summary>The slot that was put first; -1 when the list is empty.</summary>
    internal int Oldest { get; private set; } = None;

    /// <summary>Puts a slot at the new end.</summary>
    internal void AddNewest(int slot)
    {
        links[slot] = new SlotLink { Newer = None, Older = newest };
        if (newest == None) Oldest = slot;
        else links[newest].Newer = slot;
        newest = slot;
        Count++;
    }

    /// <summary>Puts a slot at the old end.</summary>
    internal void AddOldest(int slot)
    {
        links[slot] = new SlotLink { Newer = Oldest, Older = None };
        if (Oldest == None) newest = slot;
        else links[Oldest].Older = slot;
        Oldest = slot;
        Count++;
    }

    /// <summary>Takes a slot out.</summary>
    internal void Remove(int slot)
    {
        SlotLink link = links[slot];
        if (link.Newer == None) newest = link.Older;
        else links[link.Newer].Older = link.Older;
        if (link.Older == None) Oldest = link.Newer;
        else links[link.Older].Newer = link.Newer;
        Count--;
    }

    /// <summary>Takes a slot out and puts it at the new end.</summary>
    internal void MoveToNewest(int slot)
    {
        if (slot == newest) return;
        Remove(slot);
        AddNewest(slot);
    }
}
