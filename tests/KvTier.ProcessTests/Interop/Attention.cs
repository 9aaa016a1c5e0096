namespace KvTier.ProcessTests.Interop;

/// <summary>Attention of one query over a sequence of <see cref="PeerBytes.Model"/>.</summary>
/// <param name="Output">[query head][dim].</param>
/// <param name="Lse">[query head].</param>
/// <param name="Missing">Parts of the sequence that could not be read.</param>
internal sealed record Attention(float[] Output, float[] Lse, int Missing)
{
    public const int QueryHeads = 4;

    private static readonly ModelProfile model = PeerBytes.Model;

    /// <summary>A query whose numbers follow from a seed.</summary>
    public static float[] QueriesOf(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, QueryHeads * model.HeadDim).Select(_ => (4 * random.NextSingle()) - 2)];
    }

    /// <summary>What is right, computed here from the blocks' bytes.</summary>
    public static Attention Over(IReadOnlyList<float[]> blocks, int layer, float[] queries)
    {
        int dim = model.HeadDim, tokens = blocks.Count * model.BlockTokens;
        var output = new float[queries.Length];
        var lse = new float[QueryHeads];
        for (int head = 0; head < QueryHeads; head++)
        {
            int kvHead = head / (QueryHeads / model.KvHeads);
            double[] logits = [.. Enumerable.Range(0, tokens).Select(token =>
            {
                ReadOnlySpan<float> key = RowOf(blocks, layer, 0, kvHead, token);
                double dot = 0;
                for (int i = 0; i < dim; i++) dot += (double)key[i] * queries[(head * dim) + i];
                return dot / Math.Sqrt(dim);
            })];
            double sum = logits.Sum(Math.Exp);
            lse[head] = (float)Math.Log(sum);
            for (int token = 0; token < tokens; token++)
            {
                ReadOnlySpan<float> value = RowOf(blocks, layer, 1, kvHead, token);
                double weight = Math.Exp(logits[token]) / sum;
                for (int i = 0; i < dim; i++) output[(head * dim) + i] += (float)(weight * value[i]);
            }
        }

        return new Attention(output, lse, 0);
    }

    /// <summary>Fails unless two are equal but for rounding.</summary>
    public static void AssertSame(Attention expected, Attention found)
    {
        Assert.Equal(expected.Missing, found.Missing);
        Assert.Equal((expected.Output.Length, expected.Lse.Length), (found.Output.Length, found.Lse.Length));
        for (int i = 0; i < expected.Output.Length; i++) Assert.Equal(expected.Output[i], found.Output[i], 1e-5f);
        for (int i = 0; i < expected.Lse.Length; i++) Assert.Equal(expected.Lse[i], found.Lse[i], 1e-4f);
    }

    private static ReadOnlySpan<float> RowOf(IReadOnlyList<float[]> blocks, int layer, int part, int kvHead, int token)
    {
        int row = (((((layer * 2) + part) * model.KvHeads) + kvHead) * model.BlockTokens) + (token % model.BlockTokens);
        return blocks[token / model.BlockTokens].AsSpan(row * model.HeadDim, model.HeadDim);
    }
}
