namespace KvTier.Kernels.Device.Tests;

/// <summary>Scores against a scalar reference in double. Tolerance: n · 2^-23 · Σ|q·k|, the error of n fp32 sums and products.</summary>
public sealed class ScoreTests(DeviceFixture fixture) : LeakGated
{
    private static readonly int[] QueryCounts = [1, 4, 8, 9, 64];

    public static TheoryData<Dtype> Dtypes =>
        [Dtype.Float32, Dtype.Float16, Dtype.BFloat16, Dtype.Float8E4M3, Dtype.Float8E5M2, Dtype.Int8];

    public static TheoryData<Dtype, int, int, int> Shapes()
    {
        var shapes = new TheoryData<Dtype, int, int, int>();
        int seed = 1;
        foreach (Dtype dtype in Dtypes.Select(row => row.Data))
        {
            foreach (int length in (int[])[4, 32, 64, 80, 96, 128, 256])
                shapes.Add(dtype, length, QueryCounts[seed % QueryCounts.Length], seed++);
        }

        return shapes;
    }

    protected override IReadOnlyList<(string Name, long Count)> LeakCounts => [("device bytes", fixture.Device.UsedBytes)];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Score_RaggedRanges_MatchesTheReference(Dtype dtype, int rowLength, int queries, int seed)
    {
        var random = new Random(seed);
        const int Sets = 3;
        const int RowsThere = 200;
        using DeviceRows rows = DeviceRows.Random(fixture.Device, dtype, RowsThere, rowLength, random);
        float[] queryRows = [.. Enumerable.Range(0, Sets * queries * rowLength).Select(_ => (float)DeviceRows.Normal(random))];
        var ranges = new List<RowRange>();
        var order = new List<(int Row, int FirstQuery)>();
        int step = 16 / Math.Min(16, rowLength * dtype.SizeBytes());
        foreach (int count in (int[])[1, 63, 64, 65, 0, 7, 2])
        {
            int first = random.Next((RowsThere - count) / step) * step;
            int firstQuery = random.Next(Sets) * queries;
            ranges.Add(new RowRange(rows.At(first), count, firstQuery, rows.ScaleAt(first)));
            for (int i = 0; i < count; i++) order.Add((first + i, firstQuery));
        }

        float[] scores = new float[queries * order.Count];
        var batch = new ScoreBatch
        {
            Dtype = dtype,
            RowLength = rowLength,
            Queries = queries,
            QueryRows = queryRows,
            Ranges = [.. ranges],
        };
        Assert.Null(fixture.Device.Score(batch, scores));
        for (int q = 0; q < queries; q++)
        {
            for (int r = 0; r < order.Count; r++)
            {
                (double expected, double size) = (0, 0);
                for (int j = 0; j < rowLength; j++)
                {
                    double product = queryRows[((order[r].FirstQuery + q) * rowLength) + j] * rows[order[r].Row, j];
                    expected += product;
                    size += Math.Abs(product);
                }

                Assert.Equal(expected, scores[(q * order.Count) + r], rowLength * size / (1 << 23));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Dtypes))]
    public void Score_EveryCodeOfADtype_IsDecodedExactly(Dtype dtype)
    {
        int codes = dtype.SizeBytes() == 1 ? 256 : 65_536;
        // Of fp32 the upper halves: every exponent, with the mantissa's seven upper bits.
        uint Bits(int row, int column) => column > 0 ? 0 : dtype == Dtype.Float32 ? (uint)row << 16 : (uint)row;
        using DeviceRows rows = DeviceRows.Make(fixture.Device, dtype, codes, 4, Bits);
        float[] scores = new float[codes];
        var batch = new ScoreBatch
        {
            Dtype = dtype,
            RowLength = 4,
            Queries = 1,
            QueryRows = [1, 0, 0, 0],
            Ranges = [new RowRange(rows.At(0), codes)],
        };
        Assert.Null(fixture.Device.Score(batch, scores));
        for (int code = 0; code < codes; code++)
        {
            if (double.IsNaN(rows[code, 0])) Assert.True(float.IsNaN(scores[code]), $"{dtype} {code:x} gives {scores[code]}");
            else if (rows[code, 0] != scores[code] && !IsSubnormal(rows[code, 0])) Assert.Fail($"{dtype} {code:x} gives {scores[code]}");
        }
    }

    /// <summary>A device may take numbers that are subnormal in fp32 for zero; no finite fp16 or fp8 number is one.</summary>
    private static bool IsSubnormal(double value) => value != 0 && Math.Abs(value) < Math.Pow(2, -126);
}
