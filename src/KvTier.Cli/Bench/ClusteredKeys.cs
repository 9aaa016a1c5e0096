namespace KvTier.Cli;

/// <summary>
/// Keys that cluster in place: each run of tokens lies round a centre of its own, a tenth of the centres' spread wide, with queries drawn
/// as the centres are. What bounds over neighbouring tokens are good at; keys with rotated fast channels are not like that.
/// </summary>
internal static class ClusteredKeys
{
    /// <summary>Tokens of a run.</summary>
    private const int RunTokens = 128;

    private const float Spread = 0.1f;

    /// <summary>Makes tensors; values are as the keys.</summary>
    /// <param name="tokens">Tokens (T).</param>
    /// <param name="kvHeads">KV heads, with one query head each.</param>
    /// <param name="steps">Queries of each head.</param>
    /// <param name="seed">Tells one draw from another.</param>
    internal static RecallTensors Make(int tokens, int kvHeads, int steps, ulong seed)
    {
        const int HeadDim = 128;
        var random = new SyntheticRandom(seed, stream: 0);
        float[] keys = new float[kvHeads * tokens * HeadDim];
        float[] centre = new float[HeadDim];
        for (int row = 0; row < kvHeads * tokens; row++)
        {
            if (row % tokens % RunTokens == 0) random.FillNormal(centre);
            Span<float> key = keys.AsSpan(row * HeadDim, HeadDim);
            random.FillNormal(key);
            for (int j = 0; j < HeadDim; j++) key[j] = centre[j] + (Spread * key[j]);
        }

        float[] queries = new float[steps * kvHeads * HeadDim];
        random.FillNormal(queries);
        return new RecallTensors(kvHeads, kvHeads, tokens, HeadDim, steps, Dtype.Float32) { Keys = keys, Values = keys, Queries = queries };
    }
}
