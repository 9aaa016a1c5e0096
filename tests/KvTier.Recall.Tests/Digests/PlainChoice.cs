namespace KvTier.Recall.Tests.Digests;

/// <summary>The choice once more, by its definition.</summary>
internal static class PlainChoice
{
    /// <summary>The key of every chunk of one KV head.</summary>
    internal static double[] Keys(
        DigestSpec spec, KvSample sample, float[] queries, int queryHeads, int window, int kvHead, GroupReduction reduction, bool softmax)
    {
        int group = queryHeads / sample.Layout.KvHeads;
        int dim = sample.Layout.HeadDim;
        int chunks = (sample.Tokens + spec.ChunkTokens - 1) / spec.ChunkTokens;
        double[][] heads = [.. Enumerable.Range(0, group).Select(_ => new double[chunks])];
        for (int w = 0; w < window; w++)
        {
            for (int g = 0; g < group; g++)
            {
                float[] query = queries.AsSpan(((w * queryHeads) + (kvHead * group) + g) * dim, dim).ToArray();
                double[] scores = [.. Enumerable.Range(0, chunks).Select(c => PlainDigest.Score(spec, sample, query, 0, kvHead, c))];
                if (softmax) scores = Softmax(scores, spec.ChunkTokens, sample.Tokens);
                for (int c = 0; c < chunks; c++) heads[g][c] += scores[c];
            }
        }

        return [.. Enumerable.Range(0, chunks).Select(c => reduction switch
        {
            GroupReduction.Max => heads.Max(head => head[c]),
            GroupReduction.Sum => heads.Sum(head => head[c]),
            _ => heads.Average(head => head[c]),
        })];
    }

    /// <summary>The chunks chosen.</summary>
    internal static int[] Best(double[] keys, int chunkTokens, int tokens, int budget, int sinks, int recent)
    {
        var chosen = new SortedSet<int>();
        int left = budget;
        int[] always = [.. Enumerable.Range(0, sinks), .. Enumerable.Range(keys.Length - recent, recent)];
        int[] order = [.. always, .. Enumerable.Range(0, keys.Length).OrderByDescending(c => keys[c])];
        foreach (int chunk in order)
        {
            int size = Math.Min(chunkTokens, tokens - (chunk * chunkTokens));
            if (size > left || !chosen.Add(chunk)) continue;
            left -= size;
        }

        return [.. chosen];
    }

    private static double[] Softmax(double[] scores, int chunkTokens, int tokens)
    {
        double max = scores.Max();
        double[] masses = [.. scores.Select((s, c) => Math.Min(chunkTokens, tokens - (c * chunkTokens)) * Math.Exp(s - max))];
        double total = masses.Sum();
        return [.. masses.Select(mass => mass / total)];
    }
}
