using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>Delete, pin, unpin, touch or prefetch.</summary>
internal sealed class IdsExchange : Request
{
    private Opcode opcode;
    private ReadOnlyMemory<BlockId> ids;
    private ReadOnlyMemory<BlockId> groups;
    private Memory<bool> done;
    private Memory<ItemStatus> outcomes;
    private long pinMs;

    /// <summary>Blocks for which it was done.</summary>
    public int Count { get; private set; }

    public override Opcode Opcode => opcode;

    public override int ItemCount => ids.Length;

    public void Set(KvNamespace ns, Opcode what, ReadOnlyMemory<BlockId> blocks, Memory<bool> outcome, long pinFor = 0)
    {
        Namespace = ns;
        opcode = what;
        ids = blocks;
        done = outcome;
        pinMs = pinFor;
    }

    /// <summary>What is asked of a silo of a cluster.</summary>
    /// <param name="of">The group of each block; empty when each is a group of its own.</param>
    /// <param name="statuses">Takes the status of each block.</param>
    public void SetRouted(ReadOnlyMemory<BlockId> of, Memory<ItemStatus> statuses)
    {
        groups = of;
        outcomes = statuses;
    }

    public override KvError? Check(Limits limits) =>
        base.Check(limits) ?? (opcode == Opcode.Pin && pinMs > limits.PinMsMax
            ? KvError.LimitExceeded("pin.duration", pinMs, limits.PinMsMax)
            : null);

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs)
    {
        Route route = Route.With(groups.Span);
        if (opcode == Opcode.Pin) PinRequest.Write(buffer, handle, pinMs, ids.Span, route);
        else IdsRequest.Write(buffer, handle, ids.Span, route);
    }

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (StatusesResponse.TryRead(body, ids.Length, out ReadOnlySpan<ItemStatus> statuses, out long epoch) is { } error) return error;
        AnsweredEpoch = epoch;
        if (!outcomes.IsEmpty) statuses.CopyTo(outcomes.Span);
        Count = 0;
        for (int i = 0; i < statuses.Length; i++)
        {
            bool yes = statuses[i] == ItemStatus.Done;
            if (yes) Count++;
            if (!done.IsEmpty) done.Span[i] = yes;
        }

        return NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        ids = default;
        groups = default;
        done = default;
        outcomes = default;
    }
}

/// <summary>Counts how many ordered blocks are there.</summary>
internal sealed class PrefixExchange : Request
{
    private ReadOnlyMemory<BlockId> ids;
    private ReadOnlyMemory<BlockId> groups;
    private Memory<TierSet> tiers;
    private bool touch;

    public int Count { get; private set; }

    /// <summary>True when the first block that was not counted is not this silo's to have.</summary>
    public bool Moved { get; private set; }

    public override Opcode Opcode => Opcode.Prefix;

    public override int ItemCount => ids.Length;

    public void Set(
        KvNamespace ns, ReadOnlyMemory<BlockId> blocks, ReadOnlyMemory<BlockId> groupsOf, Memory<TierSet> where, bool use)
    {
        Namespace = ns;
        ids = blocks;
        groups = groupsOf;
        tiers = where;
        touch = use;
    }

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        PrefixRequest.Write(buffer, handle, touch ? PrefixFlags.Touch : PrefixFlags.None, ids.Span, Route.With(groups.Span));

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (PrefixResponse.TryRead(body, ids.Length, out PrefixResponse response) is { } error) return error;
        Count = response.Count;
        Moved = response.Moved;
        AnsweredEpoch = response.Epoch;
        response.Tiers[..Math.Min(Count, tiers.Length)].CopyTo(tiers.Span);
        return NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        ids = default;
        groups = default;
        tiers = default;
    }
}

/// <summary>Tells what is known of blocks.</summary>
internal sealed class DescribeExchange : Request
{
    private ReadOnlyMemory<BlockId> ids;
    private ReadOnlyMemory<BlockId> groups;
    private Memory<BlockDescription> descriptions;

    /// <summary>Blocks that are in some tier.</summary>
    public int Count { get; private set; }

    public override Opcode Opcode => Opcode.Describe;

    public override int ItemCount => ids.Length;

    public void Set(
        KvNamespace ns, ReadOnlyMemory<BlockId> blocks, ReadOnlyMemory<BlockId> groupsOf, Memory<BlockDescription> answers)
    {
        Namespace = ns;
        ids = blocks;
        groups = groupsOf;
        descriptions = answers;
    }

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        IdsRequest.Write(buffer, handle, ids.Span, Route.With(groups.Span));

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        Result<DescribeItem[]> answer = DescribeResponse.Read(body, ids.Length, limits, out long epoch);
        if (!answer.TryGet(out DescribeItem[]? items, out KvError? error)) return error;
        AnsweredEpoch = epoch;
        Count = 0;
        for (int i = 0; i < items.Length; i++)
        {
            DescribeItem item = items[i];
            if (item.Tiers != TierSet.None) Count++;
            descriptions.Span[i] = new BlockDescription(
                item.Tiers, item.Reason, item.Length, item.Codec, item.PayloadCrc, item.ExpiryUnixMs, item.PinnedUntilUnixMs, item.Durable);
        }

        return NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        ids = default;
        groups = default;
        descriptions = default;
    }
}
