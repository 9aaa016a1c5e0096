namespace KvTier.Kernels.Tests;

/// <summary>Attention in double, the long way.</summary>
internal static class AttentionReference
{
    /// <summary>o <c>[G, D]</c> and lse <c>[G]</c> of queries <c>[G, D]</c> over keys and values <c>[T, D]</c>.</summary>
    internal static (double[] Output, double[] Lse) Compute(float[] keys, float[] values, float[] queries, int dim, float scale)
    {
        int tokens = dim == 0 ? 0 : keys.Length / dim, heads = queries.Length / dim;
        double[] output = new double[queries.Length], lse = new double[heads], logits = new double[tokens];
        for (int g = 0; g < heads; g++)
        {
            double max = double.NegativeInfinity;
            for (int t = 0; t < tokens; t++)
            {
                double dot = 0;
                for (int j = 0; j < dim; j++) dot += (double)queries[(g * dim) + j] * keys[(t * dim) + j];
                logits[t] = dot * scale;
                max = Math.Max(max, logits[t]);
            }

            double sum = 0;
            for (int t = 0; t < tokens; t++) sum += logits[t] = Math.Exp(logits[t] - max);
            lse[g] = tokens == 0 ? double.NegativeInfinity : max + Math.Log(sum);
            for (int t = 0; t < tokens; t++)
            {
                for (int j = 0; j < dim; j++) output[(g * dim) + j] += logits[t] / sum * values[(t * dim) + j];
            }
        }

        return (output, lse);
    }
}
