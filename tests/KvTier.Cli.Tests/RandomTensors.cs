namespace KvTier.Cli.Tests;

/// <summary>Tensors of independent normal numbers.</summary>
internal static class RandomTensors
{
    public static RecallTensors Make(int kvHeads, int queryHeads, int tokens, int dim, int steps, Dtype dtype, int seed = 1)
    {
        var random = new Random(seed);
        return new RecallTensors(kvHeads, queryHeads, tokens, dim, steps, Dtype.Float32)
        {
            Keys = Normal(random, kvHeads * tokens * dim),
            Values = Normal(random, kvHeads * tokens * dim),
            Queries = Normal(random, steps * queryHeads * dim),
        }.RoundTo(dtype);
    }

    private static float[] Normal(Random random, int count)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            values[i] = (float)(radius * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        return values;
    }
}
