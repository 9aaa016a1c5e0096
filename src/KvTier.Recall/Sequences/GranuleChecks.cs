namespace KvTier.Recall;

/// <summary>
/// Checks of the parts of a block that recall reads by themselves. A granule is the rows of the smallest chunk of one KV head; its check
/// covers its key rows, then its value rows where those are others. Order: <c>[layer][kv head][granule]</c>.
/// </summary>
internal readonly struct GranuleChecks
{
    private readonly BlockLayout layout;

    /// <summary>For blocks of a layout.</summary>
    /// <param name="layout">Where rows lie.</param>
    /// <param name="granuleTokens">Tokens of a granule, a divisor of the block's.</param>
    internal GranuleChecks(BlockLayout layout, int granuleTokens)
    {
        this.layout = layout;
        GranuleTokens = granuleTokens;
        PerHead = layout.BlockTokens / granuleTokens;
    }

    /// <summary>Tokens of a granule.</summary>
    internal int GranuleTokens { get; }

    /// <summary>Granules of a block for one layer and KV head.</summary>
    internal int PerHead { get; }

    /// <summary>Granules of a block.</summary>
    internal int PerBlock => layout.Layers * layout.KvHeads * PerHead;

    /// <summary>Number of a granule in its block.</summary>
    internal int IndexOf(int layer, int kvHead, int granule) => (((layer * layout.KvHeads) + kvHead) * PerHead) + granule;

    /// <summary>Rows of a granule that are filled.</summary>
    /// <param name="granule">Its number in its KV head.</param>
    /// <param name="tokens">Tokens in the block.</param>
    internal int RowsOf(int granule, int tokens) => Math.Clamp(tokens - (granule * GranuleTokens), 0, GranuleTokens);

    /// <summary>Computes the checks of a block.</summary>
    /// <param name="payload">Its payload.</param>
    /// <param name="tokens">Tokens in it; rows beyond them are not covered.</param>
    internal uint[] Compute(ReadOnlySpan<byte> payload, int tokens)
    {
        var checks = new uint[PerBlock];
        for (int layer = 0; layer < layout.Layers; layer++)
        {
            for (int head = 0; head < layout.KvHeads; head++)
            {
                for (int granule = 0; granule < PerHead; granule++)
                    checks[IndexOf(layer, head, granule)] = ComputeOne(payload, layer, head, granule, RowsOf(granule, tokens));
            }
        }

        return checks;
    }

    private uint ComputeOne(ReadOnlySpan<byte> payload, int layer, int head, int granule, int rows)
    {
        int bytes = rows * layout.RowBytes;
        int token = granule * GranuleTokens;
        uint crc = Crc32C.Compute(payload.Slice((int)layout.KeyOffset(layer, head, token), bytes));
        return layout.SharedRows ? crc : Crc32C.Append(crc, payload.Slice((int)layout.ValueOffset(layer, head, token), bytes));
    }
}
