using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>What one item of a recall got.</summary>
public sealed record RecallItemAnswer
{
    /// <summary>Tokens of a unit: the chunk size, or 1 where single tokens are chosen. Unit u is tokens u · UnitTokens and on; the last
    /// unit of a sequence may have fewer.</summary>
    public required int UnitTokens { get; init; }

    /// <summary>Units chosen for each KV head <c>[Hkv]</c>.</summary>
    public required ReadOnlyMemory<int> Counts { get; init; }

    /// <summary>The units, one KV head after the other, ascending.</summary>
    public required ReadOnlyMemory<int> Units { get; init; }

    /// <summary>With <see cref="RecallItem.Held"/>: what each slot is to hold now, <c>[Hkv, slots]</c>; empty without. A unit that was held
    /// keeps its slot.</summary>
    public ReadOnlyMemory<int> Slots { get; init; }

    /// <summary>With a gather: units of each KV head whose rows are in the payload, ascending by slot when there are slots, else by unit;
    /// <c>[Hkv]</c> counts.</summary>
    public ReadOnlyMemory<int> SentCounts { get; init; }

    /// <summary>Those units, one KV head after the other, in the order of their rows.</summary>
    public ReadOnlyMemory<int> Sent { get; init; }

    /// <summary>Tokens chosen that could not be read, in any KV head; empty when the answer is whole. They are not in the
    /// payload. A gather leaves a unit out of which a part could not be read, and names all its tokens here.</summary>
    public IReadOnlyList<MissingTokens> Missing { get; init; } = [];

    /// <summary>First byte of the item's part of the payload.</summary>
    public long PayloadOffset { get; init; }

    /// <summary>Bytes of it. Attend: o fp32 <c>[W, Hq, D]</c>, then lse fp32 <c>[W, Hq]</c>. Gather: the rows in the layout asked for, in
    /// the profile's dtype; with slots only the units of <see cref="Sent"/>.</summary>
    public long PayloadLength { get; init; }

    /// <summary>Rows (n) of each KV head in a gather's payload: the most tokens sent of any KV head.</summary>
    public int GatherRows { get; init; }

    /// <summary>What it cost.</summary>
    public RecallCost Cost { get; init; }
}

/// <summary>The answer to a recall. Disposing it frees the payload.</summary>
public sealed class RecallAnswer : IDisposable
{
    private readonly Action? release;
    private bool taken;

    /// <summary>Makes an answer.</summary>
    /// <param name="items">In the order of the request.</param>
    /// <param name="payload">The payload.</param>
    /// <param name="lease">The arena slot that it is in; null when it is elsewhere.</param>
    /// <param name="release">Frees it, unless the lease was taken over; null when there is nothing to free.</param>
    public RecallAnswer(IReadOnlyList<RecallItemAnswer> items, ReadOnlyMemory<byte> payload, BlockLease? lease, Action? release)
    {
        Items = items;
        Payload = payload;
        Lease = lease;
        this.release = release;
    }

    /// <summary>In the order of the request.</summary>
    public IReadOnlyList<RecallItemAnswer> Items { get; }

    /// <summary>The payload; void after <see cref="Dispose"/>.</summary>
    public ReadOnlyMemory<byte> Payload { get; }

    /// <summary>The arena slot that the payload is in, when shared memory was asked for.</summary>
    public BlockLease? Lease { get; }

    /// <summary>Takes the arena slot over: the caller releases it.</summary>
    public BlockLease TakeLease()
    {
        if (taken || Lease is not { } lease) throw new InvalidOperationException("the payload is in no arena slot, or its lease was taken");
        taken = true;
        return lease;
    }

    /// <summary>Frees the payload.</summary>
    public void Dispose()
    {
        if (taken) return;
        taken = true;
        release?.Invoke();
    }
}
