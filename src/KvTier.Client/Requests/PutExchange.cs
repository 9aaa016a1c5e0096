using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>Stores blocks over the socket.</summary>
internal sealed class PutExchange : Request
{
    private ReadOnlyMemory<PutBlock> blocks;
    private Memory<PutStatus> statuses;
    private PutOptions options;
    private BlockId[] groups = [];
    private bool isGrouped;
    private long payloadLength;

    public PutSummary Summary { get; private set; }

    public override Opcode Opcode => Opcode.Put;

    public override int ItemCount => blocks.Length;

    public override int PayloadCount => blocks.Length;

    public override long PayloadLength => payloadLength;

    public void Set(KvNamespace ns, ReadOnlyMemory<PutBlock> put, Memory<PutStatus> outcome, PutOptions how)
    {
        Namespace = ns;
        blocks = put;
        statuses = outcome;
        options = how;
        payloadLength = 0;
        isGrouped = false;
        foreach (ref readonly PutBlock block in put.Span)
        {
            payloadLength += block.Payload.Length;
            isGrouped |= block.Group != default;
        }

        if (isGrouped && groups.Length < put.Length) groups = new BlockId[put.Length];
    }

    public override ReadOnlyMemory<byte> Payload(int index) => blocks.Span[index].Payload;

    public override KvError? Check(Limits limits)
    {
        if (base.Check(limits) is { } error) return error;
        foreach (ref readonly PutBlock block in blocks.Span)
        {
            if (CheckBlock(block.Key.Length, block.Payload.Length, limits) is { } refused) return refused;
        }

        return payloadLength > limits.FramePayloadBytesMax
            ? KvError.LimitExceeded("put.payloadLength", payloadLength, limits.FramePayloadBytesMax)
            : null;
    }

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs)
    {
        PutFlags flags = options.Overwrite ? PutFlags.Overwrite : PutFlags.None;
        Route route = Route.With(isGrouped ? groups.AsSpan(0, blocks.Length) : default);
        PutRequestWriter writer = PutRequestWriter.Begin(
            buffer, handle, options.Ack, flags, TtlMs(options), deadlineMs, blocks.Length, route);
        NamespaceId ns = Namespace!.Id;
        for (int i = 0; i < blocks.Length; i++)
        {
            ref readonly PutBlock block = ref blocks.Span[i];
            int length = block.Payload.Length;
            BlockId id = BlockId.Compute(ns, block.Key.Span);
            uint check = BlockCheck.Compute(id, block.Codec, 0, length, Crc32C.Compute(block.Payload.Span));
            writer.Add(block.Key.Span, length, block.Codec, check);
            if (isGrouped) groups[i] = block.Group == default ? id : block.Group;
        }

        writer.End();
    }

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (PutResponse.TryRead(body, blocks.Length, out PutResponse response) is { } error) return error;
        Summary = Count(response, statuses);
        AnsweredEpoch = response.Epoch;
        return NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        blocks = default;
        statuses = default;
        Summary = default;
    }

    /// <summary>Counts an answer's statuses and copies them where the caller wants them.</summary>
    public static PutSummary Count(PutResponse response, Memory<PutStatus> statuses)
    {
        Span<int> counts = stackalloc int[4];
        for (int i = 0; i < response.Statuses.Length; i++)
        {
            var status = (PutStatus)response.Statuses[i];
            counts[(int)status]++;
            if (!statuses.IsEmpty) statuses.Span[i] = status;
        }

        return new PutSummary(counts[0], counts[1], counts[2], response.Error, counts[3]);
    }

    public static KvError? CheckBlock(int keyLength, int length, Limits limits)
    {
        if (keyLength == 0) return KvError.InvalidArgument("key.length", 0, $"1 to {limits.KeyBytesMax}");
        if (keyLength > limits.KeyBytesMax) return KvError.LimitExceeded("key.length", keyLength, limits.KeyBytesMax);
        return length > limits.BlockBytesMax ? KvError.LimitExceeded("block.length", length, limits.BlockBytesMax) : null;
    }

    public static long TtlMs(PutOptions options) =>
        options.TimeToLive <= TimeSpan.Zero ? 0 : Math.Min((long)Math.Ceiling(options.TimeToLive.TotalMilliseconds), WireBounds.TtlMsMax);
}
