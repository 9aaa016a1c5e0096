using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>Statistics of chunks, the finite check and int8 rows.</summary>
public class DigestTests
{
    [Theory]
    [InlineData(1, 128)]
    [InlineData(8, 32)]
    [InlineData(16, 80)]
    [InlineData(64, 576)]
    [InlineData(7, 33)]
    public void ChunkStats_AnyShape_AreTheTextbooks(int tokens, int dim)
    {
        float[] rows = Rows.Normal(new Random(dim), tokens * dim);
        for (int i = 0; i < rows.Length; i++) rows[i] += i % dim == 3 ? 100 : 0; // an outlier channel: the variance must not cancel
        float[] mean = new float[dim], min = new float[dim], max = new float[dim], deviation = new float[dim], variance = new float[dim];
        ChunkStats.Mean(rows, mean);
        ChunkStats.MinMax(rows, min, max);
        float[] centre = [.. min.Zip(max, (a, b) => (a + b) / 2)];
        ChunkStats.MeanAbsoluteDeviation(rows, centre, deviation);
        ChunkStats.Variance(rows, mean, variance);
        for (int j = 0; j < dim; j++)
        {
            double[] column = [.. Enumerable.Range(0, tokens).Select(t => (double)rows[(t * dim) + j])];
            Assert.Equal(column.Average(), mean[j], 1e-5 * (1 + Math.Abs(column.Average())));
            Assert.Equal((column.Min(), column.Max()), (min[j], max[j]));
            Assert.Equal(column.Average(x => Math.Abs(x - centre[j])), deviation[j], 1e-5);
            Assert.Equal(column.Average(x => Math.Pow(x - column.Average(), 2)), variance[j], 1e-4);
        }
    }

    [Fact]
    public void ChunkStats_NoRowsOrPartOfOne_Throws()
    {
        Assert.Throws<ArgumentException>(() => ChunkStats.Mean([], new float[4]));
        Assert.Throws<ArgumentException>(() => ChunkStats.MinMax(new float[6], new float[4], new float[4]));
    }

    [Fact]
    public void AllFinite_OneOddElementAnywhere_IsFound()
    {
        foreach (Dtype dtype in Rows.Dtypes)
        {
            foreach (int count in (int[])[1, 15, 16, 63, 64, 65, 300])
            {
                (byte[] rows, _) = Rows.Of(dtype, new Random(count), count);
                Assert.True(RowCheck.AllFinite(dtype, rows));
                if (dtype == Dtype.Int8) continue;
                for (int at = 0; at < count; at++)
                {
                    byte[] broken = [.. rows];
                    bool infinity = at % 2 == 0 && dtype != Dtype.Float8E4M3;
                    float odd = infinity ? float.NegativeInfinity : float.NaN;
                    RowConvert.FromSingle(dtype, [odd], broken.AsSpan(at * dtype.SizeBytes()));
                    Assert.False(RowCheck.AllFinite(dtype, broken), $"{dtype} {at} of {count}");
                }
            }
        }

        Assert.True(RowCheck.AllFinite(Dtype.Float16, MemoryMarshal.AsBytes([Half.MaxValue, Half.MinValue, Half.Epsilon])));
        Assert.True(RowCheck.AllFinite(Dtype.Float32, []));
        Assert.Throws<NotSupportedException>(() => RowCheck.AllFinite(Dtype.Raw, []));
    }

    [Fact]
    public void ToInt8_AnyRow_ErrsByHalfItsScaleAtMost()
    {
        Gen<float[]> rows = Gen.Choose(-1_000_000, 1_000_000).Select(i => i * 1e-3f).ArrayOf(33);
        Prop.ForAll(rows.ToArbitrary(), row =>
        {
            byte[] codes = new byte[33];
            float[] scale = new float[1];
            RowQuantizer.ToInt8(row, 33, codes, scale);
            Assert.Equal(row.Max(MathF.Abs) / 127, scale[0]);
            for (int j = 0; j < 33; j++) Assert.Equal(row[j], (sbyte)codes[j] * scale[0], scale[0] * 0.5001f);
        }).Check(Config.QuickThrowOnFailure);
    }

    [Fact]
    public void ToInt8_RowOfZeros_HasScaleZero()
    {
        byte[] codes = new byte[8];
        float[] scales = [7, 7];
        RowQuantizer.ToInt8([0, -0f, 0, 0, 1e-38f, 0, 0, 0], 4, codes, scales);
        Assert.Equal([0f, 0f], scales);
        Assert.All(codes, code => Assert.Equal(0, code));
    }
}
