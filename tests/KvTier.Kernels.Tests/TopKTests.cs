using FsCheck;
using FsCheck.Fluent;
using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>Selection against a full sort: score descending, ties to the lower index, NaN never.</summary>
public class TopKTests
{
    // Few different values, so that ties are common, and all the odd ones.
    private static readonly float[] Odd =
    [
        0f, -0f, 1f, -1f, 1.0000001f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, float.MaxValue,
        float.MinValue,
    ];

    [Fact]
    public void Select_AnyScores_EqualsASort()
    {
        Gen<float> score = Gen.Frequency(
            (3, Gen.Elements(Odd)),
            (2, Gen.Choose(-3, 3).Select(i => i * 0.5f)),
            (2, Gen.Choose(int.MinValue, int.MaxValue).Select(BitConverter.Int32BitsToSingle)));
        Gen<(float[] Scores, int K)> cases =
            from scores in score.ArrayOf()
            from k in Gen.Choose(0, scores.Length + 2)
            select (scores, k);
        Prop.ForAll(cases.ToArbitrary(), c => Check(c.Scores, c.K)).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Theory]
    [InlineData(65_536, 1)]
    [InlineData(65_536, 64)]
    [InlineData(65_536, 4096)]
    [InlineData(65_536, 65_535)]
    [InlineData(65_536, 65_536)]
    [InlineData(1_000, 999)]
    public void Select_ManyScores_EqualsASort(int count, int k)
    {
        Random random = new(count + k);
        Check(Rows.Normal(random, count), k);
        Check([.. Rows.Normal(random, count).Select(x => MathF.Round(x * 4))], k);
        float[] same = new float[count];
        Check(same, k);
        same.AsSpan(10).Fill(float.NaN);
        Check(same, k);
    }

    [Fact]
    public void Select_RoomTooSmallOrKNegative_Throws()
    {
        Assert.Throws<ArgumentException>(() => TopK.Select([1f, 2f], 2, new int[1]));
        Assert.Throws<ArgumentException>(() => TopK.Select([1f, 2f], -1, new int[2]));
        int[] one = new int[2];
        Assert.Equal(2, TopK.Select([1f, 2f], 1000, one));
        Assert.Equal([1, 0], one);
    }

    [Fact]
    public void Select_SteadyState_AllocatesNothing()
    {
        float[] scores = Rows.Normal(new Random(1), 65_536);
        int[] indexes = new int[4096];
        Allocation.AssertNone(() =>
        {
            TopK.Select(scores, 4096, indexes);
            TopK.SelectUnordered(scores, 32, indexes);
        });
    }

    private static void Check(float[] scores, int k)
    {
        int[] expected = ScalarTopK.Select(scores, k);
        int[] indexes = new int[Math.Min(k, scores.Length)];
        int found = TopK.Select(scores, k, indexes);
        Assert.Equal(expected, indexes[..found]);
        found = TopK.SelectUnordered(scores, k, indexes);
        Assert.Equal(expected.Order(), indexes[..found]);
    }
}
