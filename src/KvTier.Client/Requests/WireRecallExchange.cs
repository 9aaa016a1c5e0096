using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>A recall over the socket, straight into the caller's memory.</summary>
internal sealed class WireRecallExchange : RecallExchange
{
    private readonly FloatBytes floats = new();
    private uint crc;

    public override Opcode Opcode => Opcode.Recall;

    /// <summary>Two of each item for attend: o and lse.</summary>
    public override int SinkCount => Query.Mode == RecallMode.Attend ? 2 * Query.Items.Count : Query.Items.Count;

    /// <summary>Why the payload is of no use: a destination that is too small, or bytes that failed their check.</summary>
    public KvError? PayloadError { get; private set; }

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        PayloadError = null;
        return RecallResponse.TryRead(body, Shape, payloadLength, out RecallItemsReader items) ?? Take(items);
    }

    public override Memory<byte> BeginSink(int index, out int length)
    {
        if (Query.Mode == RecallMode.Attend) return BeginAttend(index, out length);
        crc = 0;
        length = Results[index].PayloadLength;
        Memory<byte> destination = Query.Items[index].Destination;
        if (destination.Length >= length) return destination[..length];
        PayloadError ??= RecallPayload.TooSmall(index, destination.Length, length);
        return default;
    }

    public override void TakePiece(ReadOnlySpan<byte> piece) => crc = Crc32C.Append(crc, piece);

    public override void EndSink(int index)
    {
        int item = index;
        if (Query.Mode == RecallMode.Attend)
        {
            if (index % 2 == 0) return;
            item = index / 2;
        }

        if (PayloadError is null && crc != Results[item].Check) PayloadError = RecallPayload.Corrupt(item, crc, Results[item].Check);
    }

    public override void Clear()
    {
        base.Clear();
        floats.Of(default(Memory<float>));
        PayloadError = null;
    }

    private Memory<byte> BeginAttend(int index, out int length)
    {
        RecallQueryItem item = Query.Items[index / 2];
        bool isOutput = index % 2 == 0;
        if (isOutput) crc = 0;
        length = (int)(isOutput ? Shape.OutputBytes : Shape.LseBytes);
        return floats.Of((isOutput ? item.Output : item.Lse)[..(length / sizeof(float))]);
    }
}

/// <summary>What can be wrong with the payload of a recall.</summary>
internal static class RecallPayload
{
    public static KvError TooSmall(int item, int length, int needed) =>
        KvError.InvalidArgument($"items[{item}].destination.length", length, $"{needed} or more");

    public static KvError Corrupt(int item, uint crc, uint check) =>
        new(ErrorCode.Corrupt, $"recall.items[{item}].check", $"{crc:X8}", $"{check:X8}");

    public static KvError Expired { get; } =
        new(ErrorCode.LeaseExpired, "recall.lease", "expired", "a lease that outlasts the copy");
}
