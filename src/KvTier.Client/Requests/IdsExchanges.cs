using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>Delete, pin, unpin, touch or prefetch.</summary>
internal sealed class IdsExchange : Request
{
    private Opcode opcode;
    private ReadOnlyMemory<BlockId> ids;
    private Memory<bool> done;
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

    public override KvError? Check(Limits limits) =>
        base.Check(limits) ?? (opcode == Opcode.Pin && pinMs > limits.PinMsMax
            ? KvError.LimitExceeded("pin.duration", pinMs, limits.PinMsMax)
            : null);

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs)
    {
        if (opcode == Opcode.Pin) PinRequest.Write(buffer, handle, pinMs, ids.Span);
        else IdsRequest.Write(buffer, handle, ids.Span);
    }

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (StatusesResponse.TryRead(body, ids.Length, out ReadOnlySpan<ItemStatus> statuses) is { } error) return error;
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
        done = default;
    }
}

/// <summary>Counts how many ordered blocks are there.</summary>
internal sealed class PrefixExchange : Request
{
    private ReadOnlyMemory<BlockId> ids;
    private Memory<TierSet> tiers;
    private bool touch;

    public int Count { get; private set; }

    public override Opcode Opcode => Opcode.Prefix;

    public override int ItemCount => ids.Length;

    public void Set(KvNamespace ns, ReadOnlyMemory<BlockId> blocks, Memory<TierSet> where, bool use)
    {
        Namespace = ns;
        ids = blocks;
        tiers = where;
        touch = use;
    }

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        PrefixRequest.Write(buffer, handle, touch ? PrefixFlags.Touch : PrefixFlags.None, ids.Span);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (PrefixResponse.TryRead(body, ids.Length, out PrefixResponse response) is { } error) return error;
        Count = response.Count;
        response.Tiers[..Math.Min(Count, tiers.Length)].CopyTo(tiers.Span);
        return NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        ids = default;
        tiers = default;
    }
}

/// <summary>Tells what is known of blocks.</summary>
internal sealed class DescribeExchange : Request
{
    private ReadOnlyMemory<BlockId> ids;
    private Memory<BlockDescription> descriptions;

    /// <summary>Blocks that are in some tier.</summary>
    public int Count { get; private set; }

    public override Opcode Opcode => Opcode.Describe;

    public override int ItemCount => ids.Length;

    public void Set(KvNamespace ns, ReadOnlyMemory<BlockId> blocks, Memory<BlockDescription> answers)
    {
        Namespace = ns;
        ids = blocks;
        descriptions = answers;
    }

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) => IdsRequest.Write(buffer, handle, ids.Span);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!DescribeResponse.Read(body, ids.Length, limits).TryGet(out DescribeItem[]? items, out KvError? error)) return error;
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
        descriptions = default;
    }
}
