namespace KvTier.Cli.Tests;

public class SyntheticKvTests
{
    private const int Dim = 128;

    private static readonly SyntheticOptions Small = new() { Tokens = 4096, KvHeads = 2, QueryHeads = 8, Steps = 43 };
    private static readonly Lazy<SyntheticKv> Shared = new(() => SyntheticKv.Generate(Small));

    private static int PlainSteps => Small.Steps - Small.NeedleDepths.Count;

    [Fact]
    public void Generate_SameSeed_GivesTheSameNumbers()
    {
        SyntheticOptions options = Small with { Tokens = 600, Steps = 12 };
        SyntheticKv one = SyntheticKv.Generate(options);
        SyntheticKv two = SyntheticKv.Generate(options);
        Assert.Equal(one.Keys, two.Keys);
        Assert.Equal(one.Values, two.Values);
        Assert.Equal(one.Queries, two.Queries);
        Assert.NotEqual(one.Keys[0], SyntheticKv.Generate(options with { Seed = 2 }).Keys[0]);
    }

    [Fact]
    public void Generate_EveryNumber_IsFinite()
    {
        SyntheticKv kv = Shared.Value;
        Assert.All([kv.Keys, kv.Values, kv.Queries], tensor => Assert.DoesNotContain(tensor, x => !float.IsFinite(x)));
    }

    [Theory]
    [InlineData(0, 0.05, 0.45)]
    [InlineData(1, 0.20, 0.65)]
    [InlineData(2, 0.30, 0.80)]
    [InlineData(3, 0.15, 0.45)]
    public void Attention_FirstFourTokens_HoldTheHeadsShare(int kind, double least, double most) =>
        Assert.InRange(MeanOverPlainSteps(kind, p => p[..4].Sum()), least, most);

    [Theory]
    [InlineData(0, 0.80, 1.00)]
    [InlineData(1, 0.70, 0.95)]
    [InlineData(2, 0.70, 1.00)]
    [InlineData(3, 0.35, 0.75)]
    public void Attention_LargestFivePercentBesideSinks_HoldWhatRealHeadsHold(int kind, double least, double most)
    {
        double share = MeanOverPlainSteps(kind, p => p[4..].OrderDescending().Take(p.Length / 20).Sum() / p[4..].Sum());
        Assert.InRange(share, least, most);
    }

    [Fact]
    public void Attention_LocalHead_LooksAtRecentTokensMoreThanOthersDo()
    {
        double local = MeanOverPlainSteps(2, p => p[^256..].Sum() / p[4..].Sum());
        double topical = MeanOverPlainSteps(1, p => p[^256..].Sum() / p[4..].Sum());
        Assert.True(local > 0.2 && local > 1.5 * topical, $"local {local}, topical {topical}");
    }

    [Fact]
    public void Queries_OneStepApart_AreCloseButForJumps()
    {
        SyntheticKv kv = Shared.Value;
        var cosines = new List<double>();
        for (int head = 0; head < Small.QueryHeads; head++)
        {
            for (int step = 1; step < PlainSteps; step++) cosines.Add(Cosine(Query(kv, step - 1, head), Query(kv, step, head)));
        }

        cosines.Sort();
        Assert.InRange(cosines[cosines.Count / 2], 0.85, 0.97);
        Assert.InRange(cosines.Count(cosine => cosine < 0.6) / (double)cosines.Count, 0.005, 0.12);
    }

    [Fact]
    public void Keys_SomeChannels_StandFarAboveTheRest()
    {
        SyntheticKv kv = Shared.Value;
        double[] means = new double[Dim];
        for (int t = 16; t < Small.Tokens; t++)
        {
            for (int i = 0; i < Dim; i++) means[i] += Math.Abs(kv.Keys[(t * Dim) + i]) / (Small.Tokens - 16);
        }

        double median = means.Order().ElementAt(Dim / 2);
        Assert.InRange(means.Count(mean => mean > 3 * median), 2, 8);
    }

    [Fact]
    public void Values_OfSinks_AreNextToNothing()
    {
        SyntheticKv kv = Shared.Value;
        Assert.True(Norm(kv.Values.AsSpan(0, Dim)) < 0.2 * Norm(kv.Values.AsSpan(100 * Dim, Dim)));
    }

    [Fact]
    public void Needles_AtTheirStep_HoldNearlyAllMassAndAnswerWithTheirValue()
    {
        SyntheticKv kv = Shared.Value;
        Assert.Equal(Small.KvHeads * Small.NeedleDepths.Count, kv.Needles.Count);
        foreach (Needle needle in kv.Needles)
        {
            double[] p = Attention(kv, needle.Step, needle.QueryHead);
            Assert.Equal(p.Max(), p[needle.Token]);
            Assert.InRange(p[needle.Token], 0.94, 0.96);
            var output = new float[Dim];
            for (int t = 0; t < p.Length; t++)
            {
                for (int i = 0; i < Dim; i++) output[i] += (float)p[t] * kv.Values[(((needle.KvHead * Small.Tokens) + t) * Dim) + i];
            }

            Assert.True(Cosine(output, needle.Value.Span) > 0.9);
        }
    }

    [Fact]
    public void Needles_Keys_AreNoLongerThanOthers()
    {
        SyntheticKv kv = Shared.Value;
        double usual = Enumerable.Range(100, 200).Average(t => Norm(kv.Keys.AsSpan(t * Dim, Dim)));
        foreach (Needle needle in kv.Needles.Where(needle => needle.KvHead == 0))
        {
            Assert.InRange(Norm(kv.Keys.AsSpan(needle.Token * Dim, Dim)), 0.8 * usual, 1.2 * usual);
        }
    }

    [Theory]
    [InlineData(0, 64)]
    [InlineData(50, 2047)]
    [InlineData(100, 4031)]
    public void TokenAt_AnyDepth_IsBetweenSinksAndRecentTokens(int depth, int token) =>
        Assert.Equal(token, SyntheticKv.TokenAt(4096, depth));

    [Theory]
    [InlineData(511, 8, 32, 128, 32, "tokens")]
    [InlineData(512, 0, 32, 128, 32, "kvHeads")]
    [InlineData(512, 3, 32, 128, 32, "queryHeads")]
    [InlineData(512, 8, 32, 72, 32, "headDim")]
    [InlineData(512, 8, 32, 128, 0, "steps")]
    [InlineData(512, 8, 32, 128, 10, "needleDepths")]
    public void Validate_OneFieldOutOfRange_NamesIt(int tokens, int kvHeads, int queryHeads, int headDim, int steps, string field)
    {
        var options = new SyntheticOptions
        {
            Tokens = tokens,
            KvHeads = kvHeads,
            QueryHeads = queryHeads,
            HeadDim = headDim,
            Steps = steps,
        };
        Assert.Equal(field, options.Validate()?.Field);
        Assert.Throws<CliException>(() => SyntheticKv.Generate(options));
    }

    private static double MeanOverPlainSteps(int kind, Func<double[], double> figure)
    {
        double sum = 0;
        int count = 0;
        for (int head = kind; head < Small.QueryHeads; head += 4)
        {
            for (int step = 0; step < PlainSteps; step += 4, count++) sum += figure(Attention(Shared.Value, step, head));
        }

        return sum / count;
    }

    private static ReadOnlySpan<float> Query(SyntheticKv kv, int step, int head) =>
        kv.Queries.AsSpan(((step * Small.QueryHeads) + head) * Dim, Dim);

    private static double[] Attention(SyntheticKv kv, int step, int head)
    {
        int kvHead = head / Small.Group;
        var p = new double[Small.Tokens];
        for (int t = 0; t < p.Length; t++)
        {
            p[t] = Dot(Query(kv, step, head), kv.Keys.AsSpan(((kvHead * p.Length) + t) * Dim, Dim)) / Math.Sqrt(Dim);
        }

        double largest = p.Max();
        double sum = 0;
        for (int t = 0; t < p.Length; t++) sum += p[t] = Math.Exp(p[t] - largest);
        for (int t = 0; t < p.Length; t++) p[t] /= sum;
        return p;
    }

    private static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    private static double Norm(ReadOnlySpan<float> a) => Math.Sqrt(Dot(a, a));

    private static double Cosine(ReadOnlySpan<float> a, ReadOnlySpan<float> b) => Dot(a, b) / Norm(a) / Norm(b);
}
