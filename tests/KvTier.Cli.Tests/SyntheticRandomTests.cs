namespace KvTier.Cli.Tests;

public class SyntheticRandomTests
{
    [Fact]
    public void NextWord_SeedOneStreamZero_IsAlwaysTheSame()
    {
        var random = new SyntheticRandom(1, 0);
        ulong[] expected = [0xB3F2AF6D0FC710C5, 0x853B559647364CEA, 0x92F89756082A4514];
        ulong[] words = [random.NextWord(), random.NextWord(), random.NextWord()];
        Assert.Equal(expected, words);
    }

    [Fact]
    public void NextWord_OtherStreams_ShareNoWord()
    {
        var one = new SyntheticRandom(1, 1);
        var two = new SyntheticRandom(1, 2);
        ulong[] ofOne = [.. Enumerable.Range(0, 1000).Select(_ => one.NextWord())];
        ulong[] ofTwo = [.. Enumerable.Range(0, 1000).Select(_ => two.NextWord())];
        Assert.Empty(ofOne.Intersect(ofTwo));
    }

    [Fact]
    public void FillNormal_ManyNumbers_HaveTheNormalLawsMoments()
    {
        var numbers = new float[1_000_003];
        new SyntheticRandom(5, 0).FillNormal(numbers);
        Assert.InRange(numbers.Average(x => (double)x), -0.005, 0.005);
        Assert.InRange(numbers.Average(x => (double)x * x), 0.99, 1.01);
        Assert.InRange(numbers.Average(x => Math.Pow(x, 3)), -0.02, 0.02);
        Assert.InRange(numbers.Average(x => Math.Pow(x, 4)), 2.9, 3.05);
        Assert.InRange(numbers.Count(x => x < -1) / (double)numbers.Length, 0.1577, 0.1597);
    }

    [Fact]
    public void NextInt_SmallEnd_TakesEveryValueAsOften()
    {
        var random = new SyntheticRandom(9, 0);
        var counts = new int[7];
        for (int i = 0; i < 70_000; i++) counts[random.NextInt(7)]++;
        Assert.All(counts, count => Assert.InRange(count, 9_500, 10_500));
    }
}
