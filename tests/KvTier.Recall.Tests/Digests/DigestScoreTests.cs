using FsCheck;
using FsCheck.Fluent;

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
        Gen<BoundCase> cases =
            from seed in Gen.Choose(1, int.MaxValue)
            from chunk in Gen.Elements(8, 16, 32, 64)
            from tokens in Gen.Choose(1, 700)
            from channels in Gen.Choose(1, 5)
            from parts in Gen.Elements(1, 2, 4, 8)
            from clustered in Gen.Elements(true, false)
            select new BoundCase((ulong)seed, chunk, tokens, 8 * channels, parts, clustered);
        Prop.ForAll(cases.ToArbitrary(), c => AssertBounds(c, form)).Check(Config.QuickThrowOnFailure.WithMaxTest(60));
    }

    private static void AssertBounds(BoundCase c, DigestForm form)
    {
        var sample = new KvSample(c.Seed, c.Tokens, headDim: c.HeadDim, clustered: c.Clustered);
        var spec = new DigestSpec { Kind = DigestKind.MinMax, ChunkTokens = c.Chunk, Form = form, SubChunks = c.Parts };
        using DigestIndex index = sample.Build(spec);
        float[] queries = sample.Queries(QueryHeads);
        for (int kvHead = 0; kvHead < 2; kvHead++)
        {
            float[][] scores = Scores.Of(index, sample, queries, QueryHeads, 0, kvHead);
            for (int g = 0; g < 2; g++)
            {
                double[] logits = sample.Logits(queries.AsSpan(((kvHead * 2) + g) * c.HeadDim, c.HeadDim), 0, kvHead);
                // fp32 sums round; nothing else may put the bound below.
                for (int t = 0; t < logits.Length; t++) Assert.True(scores[g][t / c.Chunk] >= logits[t] - 1e-4, $"token {t}");
            }
        }
    }

    private static DigestSpec Variant(DigestSpec spec, int variant) => spec.Kind == DigestKind.Moments
        ? spec with
        {
            Rank = variant % 4,
            Peaks = variant / 2,
            ValueMap = variant == 2,
            Bounds = variant == 3,
            ChunkTokens = variant == 1 ? 64 : 16,
        }
        : spec with { ChunkTokens = 8 << variant, SubChunks = 1 << variant };

    private sealed record BoundCase(ulong Seed, int Chunk, int Tokens, int HeadDim, int Parts, bool Clustered);
}
