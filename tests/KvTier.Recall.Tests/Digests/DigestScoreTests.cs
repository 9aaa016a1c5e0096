namespace KvTier.Recall.Tests.Digests;

public class DigestScoreTests
{
    private const int QueryHeads = 4;

    public static TheoryData<DigestKind, DigestForm, int> Forms()
    {
        var data = new TheoryData<DigestKind, DigestForm, int>();
        foreach (DigestKind kind in new[] { DigestKind.Mean, DigestKind.MinMax, DigestKind.Cuboid, DigestKind.Moments })
            foreach (DigestForm form in Enum.GetValues<DigestForm>())
                for (int variant = 0; variant < (kind == DigestKind.Moments ? 7 : 4); variant++) data.Add(kind, form, variant);
        return data;
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Scores_EveryKindAndForm_FollowTheFormula(DigestKind kind, DigestForm form, int variant)
    {
        var sample = new KvSample(seed: 7, tokens: 1500, layers: 2, headDim: 24);
        DigestSpec spec = Variant(new DigestSpec { Kind = kind, Form = form }, variant);
        using DigestIndex index = sample.Build(spec);
        float[] queries = sample.Queries(QueryHeads);
        // Power iteration stops where single and double precision part a little.
        double tolerance = form switch { DigestForm.Float32 => spec.Rank > 1 ? 2e-3 : 1e-4, DigestForm.Float16 => 2e-2, _ => 0.6 };
        double worst = 0;
        foreach (int layer in new[] { 0, 1 })
        {
            for (int kvHead = 0; kvHead < 2; kvHead++)
            {
                float[][] scores = Scores.Of(index, sample, queries, QueryHeads, layer, kvHead);
                for (int g = 0; g < 2; g++)
                {
                    ReadOnlySpan<float> query = queries.AsSpan(((kvHead * 2) + g) * 24, 24);
                    for (int c = 0; c < scores[g].Length; c++)
                        worst = Math.Max(worst, Math.Abs(PlainDigest.Score(spec, sample, query, layer, kvHead, c) - scores[g][c]));
                }
            }
        }

        Assert.InRange(worst, 0, tolerance);
    }

    [Theory]
    [InlineData(DigestForm.Float32)]
    [InlineData(DigestForm.Float16)]
    [InlineData(DigestForm.Int8)]
    public void MinMaxScores_AnyKeys_AreNeverBelowTheBestTokenOfTheChunk(DigestForm form)
    {
        for (ulong seed = 1; seed <= 40; seed++)
        {
            var random = new SampleRandom(seed);
            int chunk = 8 << random.Below(4);
            var sample = new KvSample(seed, tokens: 1 + random.Below(700), headDim: 8 * (1 + random.Below(5)), clustered: seed % 2 == 0);
            var spec = new DigestSpec { Kind = DigestKind.MinMax, ChunkTokens = chunk, Form = form, SubChunks = seed % 3 == 0 ? 2 : 1 };
            using DigestIndex index = sample.Build(spec);
            float[] queries = sample.Queries(QueryHeads);
            for (int kvHead = 0; kvHead < 2; kvHead++)
            {
                float[][] scores = Scores.Of(index, sample, queries, QueryHeads, 0, kvHead);
                for (int g = 0; g < 2; g++)
                {
                    int dim = sample.Layout.HeadDim;
                    double[] logits = sample.Logits(queries.AsSpan(((kvHead * 2) + g) * dim, dim), 0, kvHead);
                    // fp32 sums round; nothing else may put the bound below.
                    for (int t = 0; t < logits.Length; t++) Assert.True(scores[g][t / chunk] >= logits[t] - 1e-4, $"seed {seed} token {t}");
                }
            }
        }
    }

    private static DigestSpec Variant(DigestSpec spec, int variant) => spec.Kind == DigestKind.Moments
        ? spec with
        {
            Rank = variant % 4, Peaks = variant / 2, ValueMap = variant == 2, Bounds = variant == 3, ChunkTokens = variant == 1 ? 64 : 16,
        }
        : spec with { ChunkTokens = 8 << variant, SubChunks = 1 << variant };
}
