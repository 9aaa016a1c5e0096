namespace KvTier.Recall.Tests.Digests;

/// <summary>Scores and estimates of clusters once more, in double precision from the keys and values of their members.</summary>
public class ClusterScoreTests
{
    private const int Dim = 16;

    [Theory]
    [InlineData("retroinfer", DigestForm.Float32, 1e-4)]
    [InlineData("retroinfer", DigestForm.Float16, 2e-2)]
    [InlineData("retroinfer", DigestForm.Int8, 0.4)]
    [InlineData("a2ats", DigestForm.Float32, 1e-4)]
    [InlineData("a2ats", DigestForm.Float16, 2e-2)]
    [InlineData("a2ats", DigestForm.Int8, 0.4)]
    public void Scores_OfClusters_AreTheQueriesProductsWithTheirMeanKeys(string preset, DigestForm form, double tolerance)
    {
        var sample = new KvSample(41, 2500, kvHeads: 1, headDim: Dim);
        Selector selector = Selectors.Find(preset)! with { Budget = RecallBudget.OfTokens(200) };
        using DigestIndex index = sample.Build(selector.Digest with { Form = form });
        float[] queries = sample.Queries(2);
        sample.Select(index, selector, queries, 2);
        for (int g = 0; g < 2; g++)
        {
            double[] logits = sample.Logits(queries.AsSpan(g * Dim, Dim), 0, 0);
            float[] scores = ScoreTable.Current.Line(ScoreTable.Current.Logits, g).ToArray();
            int first = 0;
            foreach (ClusterSegment segment in ((ClusterIndex)index).Segments)
            {
                for (int c = 0; c < segment.Clusters; c++)
                {
                    int[] members = Members(segment, c);
                    // A mean of products is the product with the mean.
                    if (members.Length > 0) Assert.Equal(members.Average(t => logits[t]), scores[first + c], tolerance);
                }

                first += segment.Clusters;
            }
        }
    }

    [Theory]
    [InlineData(DigestForm.Float32, 2e-4)]
    [InlineData(DigestForm.Float16, 2e-2)]
    public void Estimate_OfClusters_FollowsTheFormula(DigestForm form, double tolerance)
    {
        var sample = new KvSample(42, 2500, kvHeads: 1, headDim: Dim, clustered: true);
        Selector selector = Selectors.RetroInfer with { Budget = RecallBudget.OfTokens(200), EstimateShare = 1 };
        using DigestIndex index = sample.Build(selector.Digest with { Form = form });
        float[] queries = sample.Queries(2, size: 0.5f);
        Selection selection = sample.Select(index, selector, queries, 2);
        float[] output = new float[2 * Dim];
        float[] lse = new float[2];
        selection.Estimate(0)!.Finish(output, lse);
        HashSet<int> chosen = [.. selection.Units(0).ToArray()];
        for (int g = 0; g < 2; g++)
        {
            double[] logits = sample.Logits(queries.AsSpan(g * Dim, Dim), 0, 0);
            double total = 0;
            double[] sums = new double[Dim];
            foreach (ClusterSegment segment in ((ClusterIndex)index).Segments)
            {
                for (int c = 0; c < segment.Clusters; c++)
                {
                    int[] members = Members(segment, c);
                    int left = members.Count(t => !chosen.Contains(t));
                    if (left == 0) continue;
                    double mass = left * Math.Exp(members.Average(t => logits[t]));
                    total += mass;
                    for (int j = 0; j < Dim; j++) sums[j] += mass * members.Average(t => sample.Value(0, 0, t)[j]);
                }
            }

            Assert.Equal(Math.Log(total), lse[g], tolerance);
            for (int j = 0; j < Dim; j++) Assert.Equal(sums[j] / total, output[(g * Dim) + j], tolerance);
        }
    }

    [Fact]
    public void Vq_QueriesOfOneDirectionSeen_CodesTellThatDirectionBetter()
    {
        // Queries look at channel 0 alone nearly: a codebook of plain distance spends its codes on all 16.
        var sample = new KvSample(43, 1024, kvHeads: 1, headDim: Dim);
        DigestSpec spec = Selectors.Find("a2ats")!.Digest with { CodebookSize = 16, Form = DigestForm.Float32 };
        double plain = ErrorOf(sample, Build(sample, spec, learns: false));
        double learnt = ErrorOf(sample, Build(sample, spec, learns: true));
        Assert.Equal(learnt, ErrorOf(sample, Build(sample, spec, learns: true)));
        Assert.True(learnt < 0.5 * plain, $"{learnt} against {plain}");
    }

    [Fact]
    public void Vq_FewQueriesSeen_CodesByPlainDistance()
    {
        var sample = new KvSample(44, 1024, kvHeads: 1, headDim: Dim);
        DigestSpec spec = Selectors.Find("a2ats")!.Digest with { CodebookSize = 16, Form = DigestForm.Float32 };
        Assert.Equal(ErrorOf(sample, Build(sample, spec, learns: false)), ErrorOf(sample, Build(sample, spec, learns: true, steps: 3)));
    }

    [Fact]
    public void Probe_WindowOfQueries_WeighsEachByItsDistanceFromTheMean()
    {
        const int window = 5;
        var random = new SampleRandom(45);
        float[] queries = [.. Enumerable.Range(0, window * Dim).Select(_ => random.Normal())];
        float[] probe = new float[Dim];
        ProbeQuery.Write(queries, window, probe);
        double[][] rows = [.. Enumerable.Range(0, window).Select(w => queries.Skip(w * Dim).Take(Dim).Select(x => (double)x).ToArray())];
        double[] mean = PlainDigest.Mean(rows);
        double[] variance = [.. mean.Select((m, j) => rows.Average(row => (row[j] - m) * (row[j] - m)))];
        double[] weights = [.. rows.Select(row => row.Select((x, j) =>
            (x - mean[j]) * (x - mean[j]) / (variance[j] + (0.01 * variance.Average()))).Sum())];
        for (int j = 0; j < Dim; j++) Assert.Equal(rows.Select((row, w) => weights[w] * row[j]).Sum() / weights.Sum(), probe[j], 1e-4);
    }

    private static int[] Members(ClusterSegment segment, int cluster) =>
        [.. segment.Members(0, cluster).ToArray().Select(t => (int)segment.FirstToken + t)];

    // The first block is asked before the rest is stored.
    private static ClusterIndex Build(KvSample sample, DigestSpec spec, bool learns, int steps = 40)
    {
        var index = (ClusterIndex)DigestIndex.Create(spec, sample.Layout, null);
        index.SetBlock(0, 64, sample.Payload(0, 64));
        var random = new SampleRandom(46);
        Selector selector = Selectors.Find("a2ats")! with { Budget = RecallBudget.OfTokens(32) };
        for (int step = 0; learns && step < steps; step++) sample.Select(index, selector, Narrow(random), 2);
        sample.Extend(index);
        return index;
    }

    private static float[] Narrow(SampleRandom random) =>
        [.. Enumerable.Range(0, 2 * Dim).Select(i => (i % Dim == 0 ? 3 : 0.02f) * random.Normal())];

    // Mean squared error of q·code for q·k, queries as those that were seen.
    private static double ErrorOf(KvSample sample, ClusterIndex index)
    {
        var random = new SampleRandom(47);
        double sum = 0;
        for (int step = 0; step < 20; step++)
        {
            double[] logits = sample.Logits(Narrow(random).AsSpan(0, Dim), 0, 0);
            foreach (ClusterSegment segment in index.Segments)
            {
                for (int c = 0; c < segment.Clusters; c++)
                {
                    int[] members = Members(segment, c);
                    sum += members.Sum(t => Math.Pow(logits[t] - members.Average(m => logits[m]), 2));
                }
            }
        }

        index.Dispose();
        return sum;
    }
}
