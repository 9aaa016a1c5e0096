using System.Text;

namespace KvTier.Protocol.Tests;

/// <summary>Decoder and encoder in a row for the messages of recall. Answers are read for the shapes that the golden ones have.</summary>
internal static class RecallRecode
{
    /// <summary>One query of 2 heads of 2, one KV head.</summary>
    public static readonly RecallShape AttendShape = new(RecallMode.Attend, 1, 1, 2, 1, 2, 8);

    /// <summary>Rows of 2 elements in fp16 of one KV head.</summary>
    public static readonly RecallShape GatherShape = AttendShape with { Mode = RecallMode.Gather };

    private const long ArenaBytes = 1L << 30;

    public static KvError? Append(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (SequenceAppendRequest.TryRead(body, Recode.Limits, out SequenceAppendRequest request) is { } error) return error;
        SequenceAppendRequest.Write(
            output, request.Namespace, request.DeadlineMs, request.Name, request.Tokens, request.ReplaceLast, request.ExpectedTokens,
            Recode.ToArray(request.Ids), request.Epoch);
        return null;
    }

    public static KvError? Request(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (RecallRequestReader.TryRead(body, payloadLength, Recode.Limits, out RecallRequestReader reader) is { } error) return error;
        RecallRequestWriter writer = RecallRequestWriter.Begin(output, reader.Head, reader.Count);
        while (reader.TryReadNext(out RecallRequestItem item))
            writer.Add(Encoding.UTF8.GetString(item.Sequence), item.Layer, item.Held.ToArray());
        writer.End();
        return null;
    }

    public static KvError? Response(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (RecallResponse.TryRead(body, AttendShape, payloadLength, out RecallItemsReader items) is { } error) return error;
        Write(RecallResponseWriter.Begin(output, items.Count), items);
        return null;
    }

    public static KvError? LocalResponse(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (LocalRecallResponse.TryRead(body, GatherShape, ArenaBytes, out RecallSlot slot, out RecallItemsReader items) is { } error)
            return error;
        Write(RecallResponseWriter.BeginLocal(output, slot, items.Count), items);
        return null;
    }

    private static void Write(RecallResponseWriter writer, RecallItemsReader items)
    {
        while (items.TryReadNext(out RecallItemView item))
        {
            var missing = new MissingTokens[item.Missing.Count];
            for (int i = 0; i < missing.Length; i++) missing[i] = item.Missing[i];
            writer.Add(new RecallResponseItem
            {
                UnitTokens = item.UnitTokens,
                Counts = item.Counts.ToArray(),
                Units = item.Units.ToArray(),
                Slots = item.Slots.ToArray(),
                SentCounts = item.SentCounts.ToArray(),
                Sent = item.Sent.ToArray(),
                Missing = missing,
                GatherRows = item.GatherRows,
                PayloadOffset = item.PayloadOffset,
                PayloadLength = item.PayloadLength,
                Check = item.Check,
                Cost = item.Cost,
            });
        }
    }
}
