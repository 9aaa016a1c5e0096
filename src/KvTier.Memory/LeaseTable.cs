namespace KvTier.Memory;

/// <summary>
/// Leases by number: each bound to an owner (a connection) and a deadline, and standing for one target of type <typeparamref name="T"/>.
/// Not thread-safe.
/// </summary>
/// <typeparam name="T">What is leased.</typeparam>
/// <remarks>Granting and ending take O(log n) time, and no memory once the table has held as many leases before.</remarks>
public sealed class LeaseTable<T>
    where T : struct
{
    private readonly Dictionary<ulong, int> byNumber = [];
    private readonly Dictionary<int, int> headByOwner = [];
    private readonly DeadlineHeap deadlines = new();
    private Entry[] entries = new Entry[16];
    private int firstFree = -1;
    private int usedEntries;
    private ulong lastNumber;

    /// <summary>Leases now.</summary>
    public int Count => byNumber.Count;

    /// <summary>Grants a lease.</summary>
    /// <param name="owner">The connection that holds it.</param>
    /// <param name="target">What is leased.</param>
    /// <param name="deadline">Monotonic time at which it expires, in the caller's unit.</param>
    /// <returns>The lease's number, never 0 and never the number of an earlier lease.</returns>
    public ulong Grant(int owner, T target, long deadline)
    {
        int index = TakeEntry();
        ulong number = ++lastNumber;
        int next = headByOwner.TryGetValue(owner, out int head) ? head : -1;
        if (next >= 0) entries[next].Previous = index;
        entries[index] = new Entry { Number = number, Owner = owner, Target = target, Deadline = deadline, Previous = -1, Next = next };
        headByOwner[owner] = index;
        byNumber.Add(number, index);
        deadlines.Add(index, deadline, number);
        return number;
    }

    /// <summary>Looks a lease up without ending it.</summary>
    /// <returns>False when the number is unknown or belongs to another owner.</returns>
    public bool TryGet(ulong lease, int owner, out T target, out long deadline)
    {
        if (byNumber.TryGetValue(lease, out int index) && entries[index].Owner == owner)
        {
            target = entries[index].Target;
            deadline = entries[index].Deadline;
            return true;
        }

        target = default;
        deadline = 0;
        return false;
    }

    /// <summary>Ends a lease.</summary>
    /// <returns>False when the number is unknown or belongs to another owner.</returns>
    public bool TryEnd(ulong lease, int owner, out T target)
    {
        if (byNumber.TryGetValue(lease, out int index) && entries[index].Owner == owner)
        {
            target = End(index);
            return true;
        }

        target = default;
        return false;
    }

    /// <summary>Ends one lease of an owner that has gone.</summary>
    /// <returns>False when the owner holds none.</returns>
    public bool TryEndAnyOf(int owner, out T target)
    {
        bool found = headByOwner.TryGetValue(owner, out int index);
        target = found ? End(index) : default;
        return found;
    }

    /// <summary>Ends one lease whose deadline has passed, earliest first; of equal ones that granted first.</summary>
    /// <param name="now">The time; a lease whose deadline is just now has passed.</param>
    /// <param name="target">What was leased.</param>
    /// <param name="owner">Who held it.</param>
    /// <returns>False when none has.</returns>
    public bool TryEndExpired(long now, out T target, out int owner)
    {
        if (deadlines.First is int index and >= 0 && entries[index].Deadline <= now)
        {
            owner = entries[index].Owner;
            target = End(index);
            return true;
        }

        target = default;
        owner = 0;
        return false;
    }

    private int TakeEntry()
    {
        if (firstFree >= 0)
        {
            int index = firstFree;
            firstFree = entries[index].Next;
            return index;
        }

        if (usedEntries == entries.Length) Array.Resize(ref entries, usedEntries * 2);
        return usedEntries++;
    }

    private T End(int index)
    {
        Entry entry = entries[index];
        if (entry.Next >= 0) entries[entry.Next].Previous = entry.Previous;
        if (entry.Previous >= 0) entries[entry.Previous].Next = entry.Next;
        else if (entry.Next >= 0) headByOwner[entry.Owner] = entry.Next;
        else headByOwner.Remove(entry.Owner);
        byNumber.Remove(entry.Number);
        deadlines.Remove(index);
        entries[index] = new Entry { Next = firstFree };
        firstFree = index;
        return entry.Target;
    }

    private struct Entry
    {
        public ulong Number;
        public long Deadline;
        public int Owner;

        /// <summary>Neighbours among the leases of one owner; in a free entry the next free one. -1 for none.</summary>
        public int Previous;
        public int Next;
        public T Target;
    }
}
