namespace KvTier.Recall;

/// <summary>Asks a silo to score its parts, as it is sent. The answer ranks them at once where that needs no word of the others.</summary>
/// <param name="Recall">What is asked; no item has a choice.</param>
/// <param name="Most">Units of each KV head to rank at most; of no meaning for clusters, which are all ranked.</param>
/// <param name="Keeps">True when the scores are kept for the session: to be ranked, or for an estimate.</param>
/// <param name="MapBlocks">For each item: blocks that the maps of its values must be learnt from; 0 when none are needed.</param>
/// <param name="ByHeads">True when the units are ranked for each query head by the masses of the part. A silo of before reads it as
/// <paramref name="Keeps"/>, and is asked to rank afterwards.</param>
internal sealed record PartScore(PartRecall Recall, int Most, bool Keeps, int[] MapBlocks, bool ByHeads = false)
{
    private const byte KeepsBit = 1;
    private const byte ByHeadsBit = 2;

    /// <summary>Units to rank at most, by the selector's digest.</summary>
    internal int MostOf(Selector selector) => selector.Digest.Kind is DigestKind.Centroids or DigestKind.Vq ? int.MaxValue : Most;

    /// <summary>Writes it.</summary>
    internal (ReadOnlyMemory<byte> Body, byte[] Payload) Write()
    {
        (ReadOnlyMemory<byte> body, byte[] payload) = Recall.Write();
        var writer = new MessageWriter();
        writer.Int(Most);
        writer.Byte((byte)((Keeps ? KeepsBit : 0) | (ByHeads ? ByHeadsBit : 0)));
        writer.Numbers<int>(MapBlocks);
        writer.Raw(body.Span);
        return (writer.Written, payload);
    }

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none.</returns>
    internal static PartScore? Read(ReadOnlySpan<byte> body, ReadOnlySpan<byte> payload)
    {
        var reader = new MessageReader(body);
        (int most, byte how) = (reader.Int(), reader.Byte());
        int[] mapBlocks = reader.Numbers<int>();
        return most > 0 && PartRecall.Read(reader.Rest(), payload) is { } recall && recall.Items.Count == mapBlocks.Length
            ? new PartScore(recall, most, (how & KeepsBit) != 0, mapBlocks, (how & ByHeadsBit) != 0)
            : null;
    }
}

/// <summary>Asks a silo to rank what it scored, now that the whole mass is known.</summary>
/// <param name="Session">The session of the scores.</param>
/// <param name="Maxima">The largest logit of each query, <c>[items · Hkv, W · G]</c>.</param>
/// <param name="Totals">The mass of each query by that logit.</param>
internal sealed record PartRank(long Session, float[] Maxima, float[] Totals)
{
    /// <summary>Writes it.</summary>
    internal ReadOnlyMemory<byte> Write()
    {
        var writer = new MessageWriter();
        writer.Long(Session);
        writer.Numbers<float>(Maxima);
        writer.Numbers<float>(Totals);
        return writer.Written;
    }

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none.</returns>
    internal static PartRank? Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessageReader(body);
        var rank = new PartRank(reader.Long(), reader.Numbers<float>(), reader.Numbers<float>());
        return reader.IsDone && rank.Maxima.Length == rank.Totals.Length ? rank : null;
    }
}
