namespace KvTier.Kernels.Device.Tests;

/// <summary>Top-K against a sort: score descending, then lower index, NaN never. Exact, scores and order included.</summary>
public sealed class TopKTests(DeviceFixture fixture) : LeakGated
{
    private static readonly int[] Ks = [1, 40, 700];

    public static TheoryData<string, int, int> Cases => new()
    {
        { "normal", 1, 1 }, { "normal", 65_536, 64 }, { "normal", 5000, 4096 }, { "normal", 257, 256 }, { "normal", 255, 300 },
        { "few values", 65_536, 100 }, { "few values", 4096, 4096 }, { "equal", 1000, 17 }, { "special", 3000, 2999 },
        { "special", 900, 1 }, { "nan", 700, 5 }, { "ascending", 2048, 33 }, { "bits", 20_000, 1000 }, { "bits", 20_000, 19_999 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void TopK_OneList_EqualsASort(string kind, int count, int k)
    {
        float[] scores = Scores(kind, count, new Random(count + k));
        Check(scores, [new ScoreList(0, count)], k);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void TopK_ManyRaggedLists_EqualASortOfEach(int seed)
    {
        var random = new Random(seed);
        float[] scores = Scores(seed == 1 ? "normal" : "few values", 20_000, random);
        var lists = new List<ScoreList> { new(0, 0), new(19_999, 1), new(0, 20_000), new(20_000, 0) };
        for (int i = 0; i < 20; i++)
        {
            int first = random.Next(20_000);
            lists.Add(new ScoreList(first, random.Next(20_001 - first)));
        }

        Check(scores, [.. lists], Ks[seed - 1]);
    }

    [Fact]
    public void TopK_NoValuesWanted_GivesTheSameIndices()
    {
        float[] scores = Scores("normal", 100, new Random(5));
        int[] with = new int[10];
        int[] without = new int[10];
        Assert.Null(fixture.Device.TopK(scores, [new ScoreList(0, 100)], 10, with, new float[10]));
        Assert.Null(fixture.Device.TopK(scores, [new ScoreList(0, 100)], 10, without, []));
        Assert.Equal(with, without);
        Assert.Null(fixture.Device.TopK(scores, [], 10, [], []));
    }

    [Theory]
    [InlineData(ScoreReduction.None)]
    [InlineData(ScoreReduction.Max)]
    [InlineData(ScoreReduction.Sum)]
    [InlineData(ScoreReduction.Mean)]
    public void ScoreTopK_Reduction_EqualsTopKOfReducedScores(ScoreReduction reduction)
    {
        var random = new Random(11);
        using DeviceRows rows = DeviceRows.Random(fixture.Device, Dtype.Float16, 1000, 64, random);
        // A row with a NaN: no query's score of it is a number, so that it is never chosen.
        using DeviceRows broken = DeviceRows.Make(
            fixture.Device, Dtype.Float16, 1, 64, (_, column) => column == 3 ? 0x7e00u : Elements.Encode(Dtype.Float16, 9));
        float[] queries = [.. Enumerable.Range(0, 2 * 4 * 64).Select(_ => (float)DeviceRows.Normal(random))];
        var batch = new ScoreBatch
        {
            Dtype = Dtype.Float16,
            RowLength = 64,
            Queries = 4,
            QueryRows = queries,
            Ranges = [new RowRange(rows.At(0), 500), new RowRange(broken.At(0), 1), new RowRange(rows.At(500), 500, FirstQuery: 4)],
        };
        float[] scores = new float[4 * 1001];
        Assert.Null(fixture.Device.Score(batch, scores));
        float[] reduced = [.. Enumerable.Range(0, 1001).Select(row => Reduce(reduction, scores, row))];
        if (reduction == ScoreReduction.None) reduced = scores;
        ScoreList[] lists = [new(0, 501), new(501, 500), new(0, reduced.Length)];
        int[] indices = new int[3 * 50];
        float[] values = new float[3 * 50];
        Assert.Null(fixture.Device.ScoreTopK(batch, reduction, lists, 50, indices, values));
        AssertBest(reduced, lists, 50, indices, values);
    }

    private static float Reduce(ScoreReduction reduction, float[] scores, int row)
    {
        float[] all = [.. Enumerable.Range(0, 4).Select(q => scores[(q * 1001) + row])];
        float sum = all[0] + all[1] + all[2] + all[3];
        // Math.Max gives NaN when one of the two is, as the kernel does.
        return reduction switch { ScoreReduction.Max => all.Aggregate(Math.Max), ScoreReduction.Sum => sum, _ => sum / 4 };
    }

    private void Check(float[] scores, ScoreList[] lists, int k)
    {
        int[] indices = new int[lists.Length * k];
        float[] values = new float[lists.Length * k];
        Assert.Null(fixture.Device.TopK(scores, lists, k, indices, values));
        AssertBest(scores, lists, k, indices, values);
    }

    private static void AssertBest(float[] scores, ScoreList[] lists, int k, int[] indices, float[] values)
    {
        for (int list = 0; list < lists.Length; list++)
        {
            float[] mine = scores[lists[list].First..(lists[list].First + lists[list].Count)];
            // OrderBy is stable, so equal scores stay in the order of their indices.
            int[] best = [.. Enumerable.Range(0, mine.Length).Where(i => !float.IsNaN(mine[i])).OrderByDescending(i => mine[i]).Take(k)];
            int[] expected = [.. best, .. Enumerable.Repeat(-1, k - best.Length)];
            Assert.Equal(expected, indices[(list * k)..((list + 1) * k)]);
            for (int i = 0; i < k; i++)
                Assert.Equal(i < best.Length ? mine[best[i]] : float.NaN, values[(list * k) + i]);
        }
    }

    private static float[] Scores(string kind, int count, Random random) => kind switch
    {
        "normal" => [.. Enumerable.Range(0, count).Select(_ => (float)DeviceRows.Normal(random))],
        "few values" => [.. Enumerable.Range(0, count).Select(_ => (float)random.Next(-3, 4))],
        "equal" => [.. Enumerable.Repeat(-1.5f, count)],
        "nan" => [.. Enumerable.Range(0, count).Select(i => i == count / 2 ? 1f : float.NaN)],
        "ascending" => [.. Enumerable.Range(0, count).Select(i => (float)i)],
        "bits" => [.. Enumerable.Range(0, count).Select(_ => BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue)))],
        _ => [.. Enumerable.Range(0, count).Select(_ => Specials[random.Next(Specials.Length)])],
    };

    private static readonly float[] Specials =
        [0f, -0f, float.NaN, -float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, float.MinValue, float.Epsilon, 1f];
}
