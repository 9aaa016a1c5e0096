namespace KvTier.Recall;

/// <summary>What a part answers to one item of a recall.</summary>
internal sealed record PartAnswerItem
{
    /// <summary>With a gather: units sent of each KV head.</summary>
    internal int[] SentCounts { get; init; } = [];

    /// <summary>Those units, counted in the part.</summary>
    internal int[] Sent { get; init; } = [];

    /// <summary>Tokens that could not be read, counted in the part.</summary>
    internal MissingTokens[] Missing { get; init; } = [];

    /// <summary>Rows of each KV head in a gather.</summary>
    internal int GatherRows { get; init; }

    /// <summary>The item's bytes of the payload.</summary>
    internal ReadOnlyMemory<byte> Payload { get; init; }

    /// <summary>What it cost.</summary>
    internal RecallCost Cost { get; init; }
}

/// <summary>The answer of a silo to a recall over its parts, as it is sent.</summary>
internal static class PartAnswer
{
    /// <summary>Writes an answer.</summary>
    internal static PartMessage Write(RecallAnswer answer, long epoch)
    {
        byte[] payload = answer.Payload.ToArray();
        var writer = new MessageWriter();
        writer.Int(unchecked((int)Crc32C.Compute(payload)));
        writer.Int(answer.Items.Count);
        foreach (RecallItemAnswer item in answer.Items)
        {
            writer.Numbers(item.SentCounts.Span);
            writer.Numbers(item.Sent.Span);
            writer.Int(item.Missing.Count);
            foreach (MissingTokens run in item.Missing)
            {
                writer.Long(run.FirstToken);
                writer.Int(run.Tokens);
                writer.Byte((byte)run.Reason);
            }

            writer.Int(item.GatherRows);
            writer.Long(item.PayloadOffset);
            writer.Long(item.PayloadLength);
            WriteCost(writer, item.Cost);
        }

        return new PartMessage(PartOps.Recall, epoch, writer.Written, payload);
    }

    /// <summary>Reads an answer.</summary>
    /// <returns>Null when it is none, or its payload is damaged.</returns>
    internal static PartAnswerItem[]? Read(PartMessage message)
    {
        var reader = new MessageReader(message.Body.Span);
        if (unchecked((uint)reader.Int()) != Crc32C.Compute(message.Payload.Span)) return null;
        var items = new PartAnswerItem[reader.Count(leastBytes: 80)];
        for (int i = 0; i < items.Length; i++)
        {
            int[] sentCounts = reader.Numbers<int>();
            int[] sent = reader.Numbers<int>();
            var missing = new MissingTokens[reader.Count(leastBytes: 13)];
            for (int m = 0; m < missing.Length; m++) missing[m] = new MissingTokens(reader.Long(), reader.Int(), (MissReason)reader.Byte());
            int rows = reader.Int();
            long offset = reader.Long();
            long length = reader.Long();
            if (offset < 0 || length < 0 || offset > message.Payload.Length - length) return null;
            items[i] = new PartAnswerItem
            {
                SentCounts = sentCounts,
                Sent = sent,
                Missing = missing,
                GatherRows = rows,
                Payload = message.Payload.Slice((int)offset, (int)length),
                Cost = ReadCost(ref reader),
            };
        }

        return reader.IsDone ? items : null;
    }

    internal static void WriteCost(MessageWriter writer, in RecallCost cost)
    {
        writer.Long(cost.UnitsScored);
        writer.Long(cost.DigestBytes);
        writer.Long(cost.KvBytes);
        writer.Long(cost.SsdBytes);
        writer.Long(cost.HotHits);
        writer.Long(cost.HotMisses);
        writer.Flag(cost.Certified);
    }

    internal static RecallCost ReadCost(ref MessageReader reader) => new(
        reader.Long(), reader.Long(), reader.Long(), reader.Long(), reader.Long(), reader.Long(), Reused: false, reader.Flag());
}
