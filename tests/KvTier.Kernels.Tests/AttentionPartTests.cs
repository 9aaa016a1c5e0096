using System.Runtime.InteropServices;
using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>Partial attention against attention in double. Tolerance: relative L2 error of o 2e-6 and of lse 1e-6 absolute plus relative.
/// </summary>
public class AttentionPartTests
{
    private static readonly int[] Dims = [32, 48, 64, 80, 96, 128, 256, 576];
    private static readonly int[] Tokens = [0, 1, 7, 27, 61, 113, 482, 577, 1110, 3330];

    [Fact]
    public void Add_EveryDtypeDimensionAndRaggedLength_IsAttention()
    {
        Random random = new(1);
        foreach (Dtype dtype in Rows.Dtypes)
        {
            foreach (int dim in Dims)
            {
                int tokens = Tokens[random.Next(Tokens.Length - 3)];
                Check(dtype, random, tokens, dim, random.Next(1, 10));
            }

            foreach (int tokens in Tokens) Check(dtype, random, tokens, 33, 4);
        }
    }

    [Fact]
    public void Add_EveryQueryCountUpTo17_IsAttention()
    {
        Random random = new(2);
        for (int heads = 1; heads <= 17; heads++) Check(Dtype.Float16, random, 130, 96, heads);
    }

    [Fact]
    public void Add_32KTokensOfFloat32_StaysBelow1E6()
    {
        Random random = new(3);
        const int dim = 64, heads = 2, tokens = 32768;
        float[] keys = Rows.Normal(random, tokens * dim), values = Rows.Normal(random, tokens * dim);
        float[] queries = Rows.Normal(random, heads * dim);
        (double[] output, double[] lse) = AttentionReference.Compute(keys, values, queries, dim, 0.125f);
        AttentionPart part = new(heads, dim);
        part.Add(Dtype.Float32, Bytes(keys), Bytes(values), tokens, queries, 0.125f);
        (float[] o, float[] l) = Finish(part);
        Assert.InRange(Rows.RelativeError(o, output), 0, 1e-6);
        Assert.InRange(Rows.RelativeError(l, lse), 0, 1e-6);
    }

    [Fact]
    public void Add_LogitsOfTenThousandEitherWay_NeitherOverflowsNorVanishes()
    {
        float[] keys = [-1, 1, 0, 1], values = [1, 2, 3, 4], query = [1e4f];
        AttentionPart part = new(1, 1);
        part.Add(Dtype.Float32, Bytes(keys), Bytes(values), 4, query, 1);
        (float[] o, float[] lse) = Finish(part);
        Assert.Equal(3f, o[0], 1e-6f);
        Assert.Equal(1e4f + MathF.Log(2), lse[0], 1e-2f);
        part.Clear();
        part.Add(Dtype.Float32, Bytes([-1f]), Bytes([5f]), 1, query, 1);
        (o, lse) = Finish(part);
        Assert.Equal((5f, -1e4f), (o[0], lse[0]));
    }

    [Fact]
    public void Add_RowScales_AreThoseOfScaledRows()
    {
        Random random = new(4);
        const int dim = 96, heads = 5, tokens = 150;
        (byte[] keys, float[] exactKeys) = Rows.Of(Dtype.Int8, random, tokens * dim);
        (byte[] values, float[] exactValues) = Rows.Of(Dtype.Int8, random, tokens * dim);
        float[] keyScales = Rows.Normal(random, tokens, 0.02f), valueScales = Rows.Normal(random, tokens, 0.02f);
        for (int i = 0; i < exactKeys.Length; i++)
        {
            exactKeys[i] *= keyScales[i / dim];
            exactValues[i] *= valueScales[i / dim];
        }

        float[] queries = Rows.Normal(random, heads * dim);
        (double[] output, double[] lse) = AttentionReference.Compute(exactKeys, exactValues, queries, dim, 0.3f);
        AttentionPart part = new(heads, dim);
        part.Add(Dtype.Int8, keys, keyScales, values, valueScales, tokens, queries, 0.3f);
        (float[] o, float[] l) = Finish(part);
        Assert.InRange(Rows.RelativeError(o, output), 0, 2e-6);
        Assert.InRange(Rows.RelativeError(l, lse), 0, 2e-6);
    }

    [Fact]
    public void AddWeighted_ChunkMeans_CountAsTheirTokens()
    {
        Random random = new(5);
        const int dim = 40, heads = 3, chunks = 130;
        float[] means = Rows.Normal(random, chunks * dim), logits = Rows.Normal(random, heads * (chunks + 2), 3);
        float[] weights = [.. Enumerable.Range(0, chunks).Select(i => (float)(i % 17))];
        logits[0] = 1e4f; // weight 0: stands for nothing, whatever its logit
        logits[5] = float.NegativeInfinity;
        AttentionPart part = new(heads, dim), byRow = new(heads, dim);
        part.AddWeighted(Dtype.Float32, Bytes(means), [], chunks, logits, chunks + 2, weights);
        for (int c = 0; c < chunks; c++)
        {
            for (int g = 0; g < heads; g++) byRow.AddRow(g, logits[(g * (chunks + 2)) + c], weights[c], means.AsSpan(c * dim, dim));
        }

        (float[] o, float[] lse) = Finish(part);
        (float[] expected, float[] expectedLse) = Finish(byRow);
        Assert.InRange(Rows.RelativeError(o, [.. expected]), 0, 1e-6);
        Assert.InRange(Rows.RelativeError(lse, [.. expectedLse]), 0, 1e-6);
        for (int g = 0; g < heads; g++)
        {
            double sum = 0;
            for (int c = 0; c < chunks; c++) sum += weights[c] == 0 ? 0 : weights[c] * Math.Exp(logits[(g * (chunks + 2)) + c]);
            Assert.Equal(Math.Log(sum), lse[g], 1e-5);
        }
    }

    [Fact]
    public void Finish_NothingAdded_IsZeroAndMinusInfinity()
    {
        AttentionPart part = new(2, 3);
        part.Add(Dtype.Float16, [], [], 0, new float[6], 1);
        part.AddWeighted(Dtype.Float32, Bytes([1f, 2, 3]), [], 1, [float.NegativeInfinity, float.NegativeInfinity], 1, []);
        (float[] o, float[] lse) = Finish(part);
        Assert.All(o, value => Assert.Equal(0f, value));
        Assert.All(lse, value => Assert.Equal(float.NegativeInfinity, value));
    }

    [Fact]
    public void Add_NaNInOneToken_IsSeen()
    {
        Random random = new(6);
        float[] keys = Rows.Normal(random, 70 * 32), values = Rows.Normal(random, 70 * 32);
        keys[(66 * 32) + 3] = float.NaN;
        AttentionPart part = new(1, 32);
        part.Add(Dtype.Float32, Bytes(keys), Bytes(values), 70, Rows.Normal(random, 32), 1);
        (float[] o, float[] lse) = Finish(part);
        Assert.Equal(float.NaN, o[0]);
        Assert.Equal(float.NaN, lse[0]);
    }

    [Fact]
    public void Add_SteadyState_AllocatesNothing()
    {
        Random random = new(7);
        const int dim = 128, heads = 4, tokens = 100;
        (byte[] keys, _) = Rows.Of(Dtype.Float16, random, tokens * dim);
        float[] queries = Rows.Normal(random, heads * dim), output = new float[heads * dim], lse = new float[heads];
        AttentionPart part = new(heads, dim);
        Allocation.AssertNone(() =>
        {
            part.Clear();
            part.Add(Dtype.Float16, keys, keys, tokens, queries, 0.1f);
            part.Finish(output, lse);
        });
    }

    private static void Check(Dtype dtype, Random random, int tokens, int dim, int heads)
    {
        (byte[] keys, float[] exactKeys) = Rows.Of(dtype, random, tokens * dim);
        (byte[] values, float[] exactValues) = Rows.Of(dtype, random, tokens * dim);
        float[] queries = Rows.Normal(random, heads * dim);
        float scale = 1 / MathF.Sqrt(dim) / (dtype == Dtype.Int8 ? 40 : 1);
        (double[] output, double[] lse) = AttentionReference.Compute(exactKeys, exactValues, queries, dim, scale);
        AttentionPart part = new(heads, dim);
        int first = tokens / 3; // in two pieces, so that the second meets what the first left
        int cut = first * dim * dtype.SizeBytes();
        part.Add(dtype, keys.AsSpan(0, cut), values.AsSpan(0, cut), first, queries, scale);
        part.Add(dtype, keys.AsSpan(cut), values.AsSpan(cut), tokens - first, queries, scale);
        (float[] o, float[] l) = Finish(part);
        Assert.InRange(Rows.RelativeError(o, output), 0, 2e-6);
        if (tokens == 0) Assert.All(l, value => Assert.Equal(float.NegativeInfinity, value));
        for (int g = 0; tokens > 0 && g < heads; g++) Assert.Equal(lse[g], l[g], 1e-6 + (1e-6 * Math.Abs(lse[g])));
    }

    private static ReadOnlySpan<byte> Bytes(float[] values) => MemoryMarshal.AsBytes(values.AsSpan());

    private static (float[] Output, float[] Lse) Finish(AttentionPart part)
    {
        float[] output = new float[part.QueryCount * part.HeadDim], lse = new float[part.QueryCount];
        part.Finish(output, lse);
        return (output, lse);
    }
}
