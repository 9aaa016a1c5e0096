using FsCheck;
using FsCheck.Fluent;

namespace KvTier.Recall.Tests.Digests;

/// <summary>Best-first search against scoring every leaf.</summary>
public class BestFirstTests
{
    private const int QueryHeads = 4;

    [Fact]
    public void BestFirst_AnyKeys_FindsWhatScoringAllFinds()
    {
        Gen<TreeCase> cases =
            from seed in Gen.Choose(1, int.MaxValue)
            from kind in Gen.Elements(DigestKind.Mean, DigestKind.MinMax, DigestKind.Cuboid, DigestKind.Moments)
            from form in Gen.Elements(Enum.GetValues<DigestForm>())
            from reduction in Gen.Elements(GroupReduction.Max, GroupReduction.Sum, GroupReduction.Mean)
            from chunk in Gen.Elements(8, 16, 32, 64)
            from fanout in Gen.Choose(2, 64)
            from tokens in Gen.Choose(300, 1500)
            from budget in Gen.Choose(1, 300)
            from clustered in Gen.Elements(true, false)
            select new TreeCase((ulong)seed, kind, form, reduction, chunk, fanout, tokens, budget, clustered);
        Prop.ForAll(cases.ToArbitrary(), AssertSameChoice).Check(Config.QuickThrowOnFailure.WithMaxTest(100));
    }

    [Fact]
    public void BestFirst_RunsOfLikeKeys_ScoresFewerThanAll()
    {
        // How few are scored depends on the keys: runs that are all as good as each other are rare, but there are such seeds.
        for (int seed = 1; seed <= 25; seed++)
        {
            var sample = new KvSample((ulong)seed, 4096, kvHeads: 1, headDim: 32, clustered: true);
            for (int t = 0; t < 4096; t++)
                for (int j = 0; j < 32; j++)
                    sample.Key(0, 0, t)[j] = sample.Key(0, 0, t / 512 * 512)[j] + (t % 512 == 0 ? 0 : 0.05f * sample.Random.Normal());
            var spec = new DigestSpec { Kind = DigestKind.MinMax };
            var selector = new Selector { Name = "test", Digest = spec, Softmax = false, Budget = RecallBudget.OfTokens(128) };
            float[] queries = sample.Queries(2);
            using DigestIndex flat = sample.Build(spec);
            using DigestIndex tree = sample.Build(spec with { Fanout = 4 + (seed * 5 % 13) });
            Selection all = sample.Select(flat, selector, queries, 2);
            Selection best = sample.Select(tree, selector, queries, 2);
            AssertSameUnits(Keys(flat, sample, selector, queries, 2, head: 0), all.Units(0).ToArray(), best.Units(0).ToArray());
            Assert.True(best.Certified);
            // Nodes are counted too: both together are fewer than all leaves.
            Assert.True(best.UnitsScored < all.UnitsScored, $"seed {seed}: {best.UnitsScored} of {all.UnitsScored}");
        }
    }

    private static void AssertSameChoice(TreeCase c)
    {
        var sample = new KvSample(c.Seed, c.Tokens, clustered: c.Clustered);
        sample.Key(0, 0, 250)[2] = float.NaN;
        DigestSpec spec = new() { Kind = c.Kind, ChunkTokens = c.Chunk, Form = c.Form, Bounds = c.Kind == DigestKind.Moments };
        Selector selector = new()
        {
            Name = "test",
            Digest = spec,
            Softmax = false,
            Reduction = c.Reduction,
            RecentChunks = 0,
            Budget = RecallBudget.OfTokens(c.Budget),
        };
        float[] queries = sample.Queries(QueryHeads);
        using DigestIndex flat = sample.Build(spec);
        using DigestIndex tree = sample.Build(spec with { Fanout = c.Fanout });
        Selection all = sample.Select(flat, selector, queries, QueryHeads);
        Selection best = sample.Select(tree, selector, queries, QueryHeads);
        for (int head = 0; head < 2; head++)
        {
            AssertSameUnits(
                Keys(flat, sample, selector, queries, QueryHeads, head), all.Units(head).ToArray(), best.Units(head).ToArray());
        }
    }

    /// <summary>
    /// The same units, but for those whose scores are alike to the rounding of a sum: a row that is scored beside others may round
    /// otherwise, and of chunks that are as good as each other either may be chosen.
    /// </summary>
    private static void AssertSameUnits(float[] keys, int[] expected, int[] got)
    {
        float[] lacks = [.. expected.Except(got).Select(unit => keys[unit]).Order()];
        float[] has = [.. got.Except(expected).Select(unit => keys[unit]).Order()];
        float rounding = 1e-5f * keys.Where(float.IsFinite).Max(MathF.Abs);
        Assert.True(
            lacks.Length == has.Length && lacks.Zip(has, (a, b) => Math.Abs(a - b) <= rounding).All(alike => alike),
            $"{string.Join(' ', got)} for {string.Join(' ', expected)}; scores {string.Join(' ', has)} for {string.Join(' ', lacks)}");
    }

    private static float[] Keys(DigestIndex flat, KvSample sample, Selector selector, float[] queries, int queryHeads, int head)
    {
        float[][] scores = Scores.Of(flat, sample, queries, queryHeads, 0, head);
        return [.. Enumerable.Range(0, scores[0].Length).Select(unit => selector.Reduction switch
        {
            GroupReduction.Max => scores.Max(line => line[unit]),
            GroupReduction.Sum => scores.Sum(line => line[unit]),
            _ => scores.Average(line => line[unit]),
        })];
    }

    private sealed record TreeCase(
        ulong Seed, DigestKind Kind, DigestForm Form, GroupReduction Reduction, int Chunk, int Fanout, int Tokens, int Budget,
        bool Clustered);
}
