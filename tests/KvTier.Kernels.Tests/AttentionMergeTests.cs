using System.Runtime.InteropServices;
using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>Merging parts, by the rules of vLLM's merge kernel.</summary>
public class AttentionMergeTests
{
    [Theory]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NaN)]
    public void Into_BothEmpty_IsZerosAndMinusInfinity(float empty)
    {
        float[] output = [float.NaN, 3];
        float[] lse = [float.NegativeInfinity];
        AttentionMerge.Into(output, lse, [1, float.NaN], [empty]);
        Assert.Equal([0f, 0f], output);
        Assert.Equal(float.NegativeInfinity, lse[0]);
    }

    [Theory]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NaN)]
    public void Into_OneEmpty_IsTheOther(float empty)
    {
        float[] output = [1, 2], lse = [5];
        AttentionMerge.Into(output, lse, [float.NaN, 9], [empty]);
        Assert.Equal([1f, 2f, 5f], [.. output, .. lse]);
        (output, lse) = ([float.NaN, 9], [empty]);
        AttentionMerge.Into(output, lse, [1, 2], [5]);
        Assert.Equal([1f, 2f, 5f], [.. output, .. lse]);
    }

    [Fact]
    public void Into_LsesOfTenThousand_DoNotOverflow()
    {
        float[] output = [1, 3], lse = [1e4f, -1e4f];
        AttentionMerge.Into(output, lse, [3, 7], [1e4f, 1e4f]);
        Assert.Equal([2f, 7f], output);
        Assert.Equal([1e4f + MathF.Log(2), 1e4f], lse);
    }

    [Theory]
    [InlineData(32, 4)]
    [InlineData(48, 8)]
    [InlineData(64, 16)]
    [InlineData(96, 3)]
    [InlineData(128, 32)]
    [InlineData(256, 2)]
    [InlineData(33, 5)]
    public void Into_OneTo16PartsSomeEmpty_ChangesNothingBeyondRounding(int dim, int heads)
    {
        Random random = new(dim);
        foreach (Dtype dtype in (Dtype[])[Dtype.Float32, Dtype.Float16, Dtype.BFloat16])
        {
            const int tokens = 577;
            (byte[] keys, _) = Rows.Of(dtype, random, tokens * dim);
            (byte[] values, _) = Rows.Of(dtype, random, tokens * dim);
            float[] queries = Rows.Normal(random, heads * dim);
            (float[] whole, float[] wholeLse) = Attend(dtype, keys, values, queries, heads, 0, tokens);
            for (int parts = 1; parts <= 16; parts++)
            {
                int[] cuts = [0, .. Enumerable.Range(0, parts - 1).Select(_ => random.Next(tokens + 1)).Order(), tokens];
                float[] output = new float[heads * dim], lse = new float[heads];
                lse.AsSpan().Fill(float.NegativeInfinity);
                for (int p = 0; p < parts; p++)
                {
                    (float[] o, float[] l) = Attend(dtype, keys, values, queries, heads, cuts[p], cuts[p + 1]);
                    AttentionMerge.Into(output, lse, o, l);
                }

                Assert.InRange(Rows.RelativeError(output, [.. whole]), 0, 2e-6);
                Assert.InRange(Rows.RelativeError(lse, [.. wholeLse]), 0, 1e-6);
            }
        }
    }

    [Fact]
    public void Into_ShapesThatDoNotFit_AreRefused()
    {
        Assert.Throws<ArgumentException>("output", () => AttentionMerge.Into(new float[5], new float[2], new float[6], new float[2]));
        Assert.Throws<ArgumentException>("otherLse", () => AttentionMerge.Into(new float[6], new float[2], new float[6], new float[1]));
    }

    private static (float[] Output, float[] Lse) Attend(
        Dtype dtype, byte[] keys, byte[] values, float[] queries, int heads, int from, int to)
    {
        int dim = queries.Length / heads, row = dim * dtype.SizeBytes();
        AttentionPart part = new(heads, dim);
        Range range = (from * row)..(to * row);
        part.Add(dtype, keys.AsSpan(range), values.AsSpan(range), to - from, queries, 1 / MathF.Sqrt(dim));
        float[] output = new float[heads * dim], lse = new float[heads];
        part.Finish(output, lse);
        return (output, lse);
    }
}
