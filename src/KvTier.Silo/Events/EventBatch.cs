using KvTier.Protocol;

namespace KvTier.Silo.Events;

/// <summary>Events of one topic that go out together; runs of blocks that belong together become one event.</summary>
internal sealed class EventBatch
{
    private static readonly (TierSet Tier, string Medium)[] media =
        [(TierSet.Device, "GPU"), (TierSet.Host, "CPU"), (TierSet.Ssd, "STORAGE")];

    private readonly List<KvEvent> events = [];

    /// <summary>The events.</summary>
    public IReadOnlyList<KvEvent> Events => events;

    /// <summary>Blocks told as stored.</summary>
    public int Stored { get; private set; }

    /// <summary>Blocks told as removed.</summary>
    public int Removed { get; private set; }

    /// <summary>Times that everything told before is revoked.</summary>
    public int Cleared { get; private set; }

    /// <summary>Blocks in it, once for each medium.</summary>
    public int Blocks => Stored + Removed;

    /// <summary>Revokes everything told before.</summary>
    public void Clear()
    {
        events.Add(new KvEvent(KvEventKind.Cleared, "", [], 0, null));
        Cleared++;
    }

    /// <summary>Adds what has become of a block.</summary>
    /// <param name="block">The block.</param>
    /// <param name="told">The tiers that subscribers know of.</param>
    /// <param name="now">The tiers it is in.</param>
    public void Add(KnownBlock block, TierSet told, TierSet now)
    {
        foreach ((TierSet tier, string medium) in media)
        {
            bool was = (told & tier) != TierSet.None, isNow = (now & tier) != TierSet.None;
            if (!was && isNow) AddStored(block, medium);
            else if (was && !isNow) AddRemoved(block, medium);
        }
    }

    private void AddStored(KnownBlock block, string medium)
    {
        Stored++;
        if (FindLast(KvEventKind.Stored, medium) is { } last && last.BlockTokens == block.BlockTokens && last.LoraName == block.LoraName
            && last.Blocks[0].GroupIndex == block.Note.GroupIndex && IsChild(last.Blocks[^1], block.Note))
        {
            ((List<EventNote>)last.Blocks).Add(block.Note);
            return;
        }

        events.Add(new KvEvent(KvEventKind.Stored, medium, new List<EventNote> { block.Note }, block.BlockTokens, block.LoraName));
    }

    private void AddRemoved(KnownBlock block, string medium)
    {
        Removed++;
        if (FindLast(KvEventKind.Removed, medium) is { } last && last.Blocks[0].GroupIndex == block.Note.GroupIndex)
        {
            ((List<EventNote>)last.Blocks).Add(block.Note);
            return;
        }

        events.Add(new KvEvent(KvEventKind.Removed, medium, new List<EventNote> { block.Note }, block.BlockTokens, block.LoraName));
    }

    // Events of other media may stand in between: of these the order does not matter. What happened to one medium stays in order.
    private KvEvent? FindLast(KvEventKind kind, string medium)
    {
        for (int i = events.Count - 1; i >= 0 && i >= events.Count - media.Length; i--)
        {
            if (events[i].Medium == medium) return events[i].Kind == kind ? events[i] : null;
        }

        return null;
    }

    private static bool IsChild(EventNote parent, EventNote child) =>
        !child.ParentHash.IsEmpty && child.ParentHash.Span.SequenceEqual(parent.Hash.Span);
}
