namespace KvTier.Client;

/// <summary>One layer of one sequence that a recall asks about, and where its answer goes.</summary>
public sealed record RecallQueryItem
{
    /// <summary>Name of the sequence.</summary>
    public required string Sequence { get; init; }

    /// <summary>The layer, 0 to L - 1.</summary>
    public required int Layer { get; init; }

    /// <summary>Queries <c>[W, Hq, D]</c>, rotated as the sequence's keys are after rotation, all finite.</summary>
    public required ReadOnlyMemory<float> Queries { get; init; }

    /// <summary>Units that the caller still holds, <c>[Hkv, slots]</c>, -1 for a free slot; empty when it wants no slots.</summary>
    public ReadOnlyMemory<int> Held { get; init; }

    /// <summary>Takes the rows of a gather; see <see cref="RecallItemResult.PayloadLength"/>. Not used by
    /// <see cref="KvNamespace.RecallLeaseAsync"/>.</summary>
    public Memory<byte> Destination { get; init; }

    /// <summary>Takes o <c>[W, Hq, D]</c> of an attend: at least so many elements.</summary>
    public Memory<float> Output { get; init; }

    /// <summary>Takes lse <c>[W, Hq]</c> of an attend: at least so many elements.</summary>
    public Memory<float> Lse { get; init; }
}

/// <summary>What is recalled, of which sequences and layers, and in which form.</summary>
public sealed record RecallQuery
{
    /// <summary>What is answered.</summary>
    public required RecallMode Mode { get; init; }

    /// <summary>How units are chosen.</summary>
    public required Selector Selector { get; init; }

    /// <summary>Query heads (Hq), a multiple of the profile's KV heads.</summary>
    public required int QueryHeads { get; init; }

    /// <summary>Queries in the window (W). Default 1.</summary>
    public int Window { get; init; } = 1;

    /// <summary>Order of a gather's rows. Default <c>[K,V][Hkv][n][D]</c>.</summary>
    public GatherLayout Layout { get; init; } = GatherLayout.KvHeadToken;

    /// <summary>Divides logits, in attention as in scores (APE's T). Default 1.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Multiplies the lse that is answered (APE's S). Default 1.</summary>
    public float LseMultiplier { get; init; } = 1;

    /// <summary>What is asked about; answered in this order.</summary>
    public required IReadOnlyList<RecallQueryItem> Items { get; init; }

    /// <summary>Checks what can be checked without the silo.</summary>
    /// <returns>Null when all is well, else the first error.</returns>
    internal KvError? Validate(ModelProfile profile, bool takesPayload)
    {
        if (profile.Kind == AttentionKind.Opaque)
            return KvError.InvalidArgument("namespace", profile.Name, "a namespace whose profile is not opaque");
        if (!Enum.IsDefined(Mode)) return KvError.InvalidArgument("mode", Mode, "ids, gather or attend");
        if (!Enum.IsDefined(Layout)) return KvError.InvalidArgument("layout", Layout, "a layout of gathers");
        if (QueryHeads < 1 || QueryHeads % profile.KvHeads != 0)
            return KvError.InvalidArgument("queryHeads", QueryHeads, $"a multiple of the profile's {profile.KvHeads} KV heads");
        if (QueryHeads > Protocol.WireBounds.RecallQueryHeadsMax)
            return KvError.LimitExceeded("queryHeads", QueryHeads, Protocol.WireBounds.RecallQueryHeadsMax);
        if (Window is < 1 or > Protocol.WireBounds.RecallWindowMax)
            return KvError.InvalidArgument("window", Window, $"1 to {Protocol.WireBounds.RecallWindowMax}");
        if (!(Temperature > 0 && float.IsFinite(Temperature)))
            return KvError.InvalidArgument("temperature", Temperature, "above 0 and finite");
        if (!(LseMultiplier > 0 && float.IsFinite(LseMultiplier)))
            return KvError.InvalidArgument("lseMultiplier", LseMultiplier, "above 0 and finite");
        if (Selector.Validate(profile) is { } wrongSelector) return wrongSelector;
        if (Items.Count is < 1 or > Protocol.WireBounds.RecallItemsMax)
            return KvError.InvalidArgument("items.count", Items.Count, $"1 to {Protocol.WireBounds.RecallItemsMax}");
        return ValidateItems(profile, takesPayload);
    }

    private KvError? ValidateItems(ModelProfile profile, bool takesPayload)
    {
        long rows = (long)Window * QueryHeads, floats = rows * profile.HeadDim, bytes = floats * sizeof(float) * Items.Count;
        if (bytes > Protocol.WireBounds.RecallQueryBytesMax)
            return KvError.LimitExceeded("queryBytes", bytes, Protocol.WireBounds.RecallQueryBytesMax);
        for (int i = 0; i < Items.Count; i++)
        {
            RecallQueryItem item = Items[i];
            if (item.Queries.Length != floats)
            {
                return KvError.InvalidArgument(
                    $"items[{i}].queries.length", item.Queries.Length, $"{floats}, window · queryHeads · headDim");
            }

            if ((uint)item.Layer >= (uint)profile.Layers)
                return KvError.InvalidArgument($"items[{i}].layer", item.Layer, $"0 to {profile.Layers - 1}");
            if (item.Held.Length % profile.KvHeads != 0)
                return KvError.InvalidArgument($"items[{i}].held.length", item.Held.Length, $"a multiple of {profile.KvHeads} KV heads");
            if (Mode != RecallMode.Attend || !takesPayload) continue;
            if (item.Output.Length < floats)
                return KvError.InvalidArgument($"items[{i}].output.length", item.Output.Length, $"{floats} or more");
            if (item.Lse.Length < rows) return KvError.InvalidArgument($"items[{i}].lse.length", item.Lse.Length, $"{rows} or more");
        }

        return null;
    }
}
