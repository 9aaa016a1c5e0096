using System.Runtime.InteropServices;
using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>Scores in every vector width against sums in double. Tolerance: 2e-6 of Σ|q·k|, which is what rounding in fp32 may do at
/// these lengths.</summary>
public class RowDotTests
{
    private static readonly int[] Lengths = [1, 31, 32, 48, 64, 80, 96, 128, 256, 576];

    [Fact]
    public void Dot_EveryDtypeWidthLengthAndQueryCount_IsTheDotProduct()
    {
        Random random = new(1);
        int[] queryCounts = [1, 2, 3, 4, 5, 7, 8, 9, 64];
        foreach (Dtype dtype in Rows.Dtypes)
        {
            foreach (int length in Lengths)
            {
                foreach (int rowCount in (int[])[1, 3, 4, 27, 113])
                    Check(dtype, random, rowCount, length, queryCounts[random.Next(queryCounts.Length)]);
            }
        }
    }

    [Fact]
    public void Dot_EveryQueryCountUpTo16_IsTheDotProduct()
    {
        Random random = new(2);
        for (int queries = 1; queries <= 16; queries++)
        {
            foreach (Dtype dtype in Rows.Dtypes) Check(dtype, random, 61, 128, queries);
        }
    }

    [Fact]
    public void Dot_InfinityAndNaNInARow_AreSeenInItsScoresOnly()
    {
        Random random = new(3);
        const int length = 128, rowCount = 100;
        foreach (Dtype dtype in (Dtype[])[Dtype.Float32, Dtype.Float16, Dtype.BFloat16, Dtype.Float8E5M2, Dtype.Float8E4M3])
        {
            (byte[] rows, _) = Rows.Of(dtype, random, rowCount * length);
            int size = dtype.SizeBytes();
            RowConvert.FromSingle(dtype, [float.NaN], rows.AsSpan(((7 * length) + 5) * size));
            if (dtype != Dtype.Float8E4M3)
                RowConvert.FromSingle(dtype, [float.PositiveInfinity], rows.AsSpan(((98 * length) + 127) * size));
            float[] queries = Rows.Normal(random, 4 * length);
            queries.AsSpan().Slice(127, 1)[0] = 1;
            foreach (int width in Widths.Available())
            {
                float[] scores = new float[4 * rowCount];
                Widths.Dot(width, dtype, rows, queries, [], scores, new DotShape(rowCount, length, 4, rowCount));
                for (int r = 0; r < rowCount; r++)
                {
                    bool special = r == 7 || (r == 98 && dtype != Dtype.Float8E4M3);
                    Assert.Equal(!special, float.IsFinite(scores[r]));
                }

                Assert.Equal(float.NaN, scores[7]);
                if (dtype != Dtype.Float8E4M3) Assert.Equal(float.PositiveInfinity, scores[98]);
            }
        }
    }

    [Fact]
    public void Dot_RowsOfDenormals_AreExact()
    {
        const int length = 64, rowCount = 64;
        byte[] rows = new byte[rowCount * length * 2];
        for (int i = 0; i < rowCount * length; i++) MemoryMarshal.Write(rows.AsSpan(2 * i), (ushort)(i % 1024));
        float[] queries = new float[length];
        queries.AsSpan().Fill(1);
        float[] scores = new float[rowCount];
        RowDot.Dot(Dtype.Float16, rows, rowCount, length, queries, 1, [], scores, rowCount);
        for (int r = 0; r < rowCount; r++)
        {
            long units = 0;
            for (int j = 0; j < length; j++) units += ((r * length) + j) % 1024;
            Assert.Equal(MathF.ScaleB(units, -24), scores[r]);
        }
    }

    [Fact]
    public void Dot_NoRowsOrNoQueries_WritesNothing()
    {
        float[] scores = [42];
        RowDot.Dot(Dtype.Float16, [], 0, 128, new float[128], 1, [], scores, 0);
        RowDot.Dot(Dtype.Float16, new byte[256], 1, 128, [], 0, [], scores, 1);
        Assert.Equal([42f], scores);
    }

    [Fact]
    public void Dot_SpansThatDoNotFitTheShape_AreRefused()
    {
        byte[] rows = new byte[2 * 32 * 2];
        float[] queries = new float[64], scores = new float[4];
        Assert.Throws<ArgumentException>("rows", () => RowDot.Dot(Dtype.Float16, rows, 3, 32, queries, 2, [], scores, 2));
        Assert.Throws<ArgumentException>("queries", () => RowDot.Dot(Dtype.Float16, rows, 2, 32, queries, 3, [], scores, 2));
        Assert.Throws<ArgumentException>("scores", () => RowDot.Dot(Dtype.Float16, rows, 2, 32, queries, 2, [], scores, 3));
        Assert.Throws<ArgumentException>("scoreStride", () => RowDot.Dot(Dtype.Float16, rows, 2, 32, queries, 2, [], scores, 1));
        Assert.Throws<ArgumentException>("rowScales", () => RowDot.Dot(Dtype.Float16, rows, 2, 32, queries, 2, [1f], scores, 2));
    }

    private static void Check(Dtype dtype, Random random, int rowCount, int length, int queryCount)
    {
        (byte[] rows, float[] exact) = Rows.Of(dtype, random, rowCount * length);
        float[] queries = Rows.Normal(random, queryCount * length);
        float[] scales = random.Next(2) == 0 ? [] : Rows.Normal(random, rowCount);
        int stride = rowCount + random.Next(3);
        DotShape shape = new(rowCount, length, queryCount, stride);
        float[] scalar = new float[queryCount * stride];
        ScalarRowDot.Dot(dtype, rows, queries, scales, scalar, shape);
        CheckAgainstDouble(scalar, exact, queries, scales, shape, $"{dtype} scalar {shape}");
        foreach (int width in Widths.Available())
        {
            float[] scores = new float[queryCount * stride];
            scores.AsSpan().Fill(42);
            Widths.Dot(width, dtype, rows, queries, scales, scores, shape);
            CheckAgainstDouble(scores, exact, queries, scales, shape, $"{dtype} {width} {shape}");
            for (int g = 0; g < queryCount; g++)
            {
                for (int r = rowCount; r < stride; r++) Assert.Equal(42f, scores[(g * stride) + r]);
            }
        }
    }

    private static void CheckAgainstDouble(
        float[] scores, float[] exact, float[] queries, float[] scales, DotShape shape, string what)
    {
        for (int g = 0; g < shape.QueryCount; g++)
        {
            for (int r = 0; r < shape.RowCount; r++)
            {
                double sum = 0, size = 0;
                for (int j = 0; j < shape.RowLength; j++)
                {
                    double product = (double)queries[(g * shape.RowLength) + j] * exact[(r * shape.RowLength) + j];
                    sum += product;
                    size += Math.Abs(product);
                }

                double factor = scales.Length == 0 ? 1 : scales[r];
                double error = Math.Abs(scores[(g * shape.ScoreStride) + r] - (sum * factor));
                Assert.True(error <= 2e-6 * size * Math.Abs(factor), $"{what} query {g} row {r}: {error} of {size}");
            }
        }
    }
}
