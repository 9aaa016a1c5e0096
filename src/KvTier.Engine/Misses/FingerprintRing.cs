namespace KvTier.Engine;

/// <summary>
/// A bounded set of 64-bit fingerprints with a byte of news for each; when full, the oldest gives way. No allocation after the start.
/// Not thread-safe. Two blocks of one fingerprint are taken for the same: what hangs on it is a reason or a statistic, never bytes.
/// </summary>
internal sealed class FingerprintRing
{
    private readonly ulong[] prints;
    private readonly byte[] news;
    private readonly int[] next;
    private readonly int[] heads;
    private int position;

    /// <summary>Makes an empty set.</summary>
    /// <param name="capacity">Most fingerprints; 0 for a set that stays empty.</param>
    internal FingerprintRing(int capacity)
    {
        prints = new ulong[capacity];
        news = new byte[capacity];
        next = new int[capacity];
        heads = new int[capacity];
    }

    /// <summary>Fingerprints kept now.</summary>
    internal int Count { get; private set; }

    /// <summary>Adds a fingerprint as the newest, or replaces its news.</summary>
    internal void Add(ulong print, byte value = 0)
    {
        if (prints.Length == 0) return;
        Remove(print);
        int place = position;
        position = position + 1 == prints.Length ? 0 : position + 1;
        if (IsTaken(place)) Unlink(place);
        ref int head = ref heads[HeadOf(print)];
        prints[place] = print;
        news[place] = value;
        next[place] = head == 0 ? -1 : head;
        head = place + 1;
        Count++;
    }

    /// <summary>Finds a fingerprint.</summary>
    internal bool TryGet(ulong print, out byte value)
    {
        int place = Find(print);
        value = place < 0 ? (byte)0 : news[place];
        return place >= 0;
    }

    /// <summary>Forgets a fingerprint.</summary>
    /// <returns>False when it was not here.</returns>
    internal bool Remove(ulong print)
    {
        int place = Find(print);
        if (place >= 0) Unlink(place);
        return place >= 0;
    }

    // A link of 0 says that the place is free, -1 that the chain ends there, else it is the next place plus one.
    private bool IsTaken(int place) => next[place] != 0;

    private int HeadOf(ulong print) => (int)Math.BigMul(print, (ulong)heads.Length, out _);

    private int Find(ulong print)
    {
        if (prints.Length == 0) return -1;
        for (int link = heads[HeadOf(print)]; link > 0; link = next[link - 1])
        {
            if (prints[link - 1] == print) return link - 1;
        }

        return -1;
    }

    private void Unlink(int place)
    {
        ref int link = ref heads[HeadOf(prints[place])];
        while (link != place + 1) link = ref next[link - 1];
        int after = next[place];
        bool isHead = System.Runtime.CompilerServices.Unsafe.AreSame(ref link, ref heads[HeadOf(prints[place])]);
        link = isHead && after == -1 ? 0 : after;
        next[place] = 0;
        Count--;
    }
}
