namespace KvTier.Cli.Tests;

public class LatencyHistogramTests
{
    [Fact]
    public void Percentile_NothingRecorded_IsZero() => Assert.Equal(0, new LatencyHistogram().Percentile(0.5));

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.9)]
    [InlineData(0.99)]
    [InlineData(1.0)]
    public void Percentile_RandomDurations_IsWithinOnePointSixPercentAboveTheExactOne(double share)
    {
        var random = new Random(7);
        var histogram = new LatencyHistogram();
        long[] values = [.. Enumerable.Range(0, 10_000).Select(_ => (long)Math.Exp(random.NextDouble() * 25))];
        foreach (long value in values) histogram.Record(value);
        Array.Sort(values);
        long exact = values[(int)Math.Ceiling(share * values.Length) - 1];
        Assert.InRange(histogram.Percentile(share), exact, exact + (exact / 60) + 1);
    }

    [Fact]
    public void Add_TwoHistograms_CountsAsOne()
    {
        var (one, two, both) = (new LatencyHistogram(), new LatencyHistogram(), new LatencyHistogram());
        foreach (long value in (long[])[5, 70, 8_000]) { one.Record(value); both.Record(value); }
        foreach (long value in (long[])[1, 1_000_000, long.MaxValue]) { two.Record(value); both.Record(value); }
        one.Add(two);
        Assert.Equal((both.Count, both.Max, both.Percentile(0.5), both.Percentile(1)),
            (one.Count, one.Max, one.Percentile(0.5), one.Percentile(1)));
        Assert.Equal(long.MaxValue, one.Percentile(1));
    }
}
