namespace KvTier.Protocol;

/// <summary>
/// Writes the body of a recall's answer: <see cref="Begin"/> or <see cref="BeginLocal"/>, then <see cref="Add"/> as often as announced.
/// </summary>
public readonly ref struct RecallResponseWriter
{
    internal const int Fields = 1;
    internal const int LocalFields = 5;

    private readonly MessagePackWriter writer;
    private readonly FrameBuffer buffer;

    private RecallResponseWriter(MessagePackWriter writer, FrameBuffer buffer)
    {
        this.writer = writer;
        this.buffer = buffer;
    }

    /// <summary>Begins an answer whose payload follows the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="count">How many items will be added: one for each of the request.</param>
    public static RecallResponseWriter Begin(FrameBuffer buffer, int count)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(Fields);
        output.WriteArrayHeader(count);
        return new RecallResponseWriter(output, buffer);
    }

    /// <summary>Begins an answer whose payload lies in the arena.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="slot">Where it lies.</param>
    /// <param name="count">How many items will be added: one for each of the request.</param>
    public static RecallResponseWriter BeginLocal(FrameBuffer buffer, in RecallSlot slot, int count)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(LocalFields);
        output.Write(slot.LeaseDeadlineNs);
        output.Write(slot.Lease);
        output.Write(slot.Offset);
        output.Write(slot.Length);
        output.WriteArrayHeader(count);
        return new RecallResponseWriter(output, buffer);
    }

    /// <summary>Adds the answer for the next item.</summary>
    public void Add(in RecallResponseItem item) => item.Write(writer, buffer);
}

/// <summary>The answer to a recall.</summary>
public static class RecallResponse
{
    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="shape">What was asked for.</param>
    /// <param name="payloadLength">Bytes of the frame's payload.</param>
    /// <param name="items">The answers.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, in RecallShape shape, long payloadLength, out RecallItemsReader items)
    {
        var reader = new BodyReader(body, "recall", RecallResponseWriter.Fields);
        items = RecallItemsReader.Read(body, ref reader, shape, payloadLength, mayHaveGaps: false);
        if (reader.Error is null) return null;
        items = default;
        return reader.Error;
    }
}

/// <summary>Where the payload of a local recall lies.</summary>
/// <param name="LeaseDeadlineNs">When the lease ends, on <c>CLOCK_MONOTONIC</c>.</param>
/// <param name="Lease">Number of the lease, to give it back with; 0 when there is no payload.</param>
/// <param name="Offset">First byte in the arena.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct RecallSlot(long LeaseDeadlineNs, ulong Lease, long Offset, int Length);

/// <summary>The answer to a local recall.</summary>
public static class LocalRecallResponse
{
    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="shape">What was asked for.</param>
    /// <param name="arenaBytes">Bytes of the mapped arena, which the slot must lie in.</param>
    /// <param name="slot">Where the payload lies.</param>
    /// <param name="items">The answers.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(
        ReadOnlySpan<byte> body, in RecallShape shape, long arenaBytes, out RecallSlot slot, out RecallItemsReader items)
    {
        var reader = new BodyReader(body, "localRecall", RecallResponseWriter.LocalFields);
        slot = ReadSlot(ref reader, arenaBytes);
        items = RecallItemsReader.Read(body, ref reader, shape, slot.Length, mayHaveGaps: true);
        if (reader.Error is null) return null;
        items = default;
        slot = default;
        return reader.Error;
    }

    /// <summary>Reads the slot only, of an answer that nobody waits for any more.</summary>
    /// <returns>False when the body can't be trusted.</returns>
    public static bool TryReadSlot(ReadOnlySpan<byte> body, long arenaBytes, out RecallSlot slot)
    {
        var reader = new BodyReader(body, "localRecall", RecallResponseWriter.LocalFields);
        slot = ReadSlot(ref reader, arenaBytes);
        return reader.IsOk;
    }

    private static RecallSlot ReadSlot(ref BodyReader reader, long arenaBytes)
    {
        var slot = new RecallSlot(
            reader.Long("leaseDeadlineNs"),
            reader.Unsigned("lease", ulong.MaxValue),
            reader.Long("offset", arenaBytes),
            reader.Int("length", int.MaxValue));
        if (reader.IsOk && slot.Length > arenaBytes - slot.Offset)
            reader.Refuse("length", $"{slot.Length}", $"{arenaBytes - slot.Offset}, the end of the arena");
        if (reader.IsOk && slot.Length > 0 && slot.Lease == 0) reader.Refuse("lease", "0", "a lease for the payload");
        return slot;
    }
}
