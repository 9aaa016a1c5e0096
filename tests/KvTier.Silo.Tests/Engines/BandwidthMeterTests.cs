using KvTier.Silo.Engines;

namespace KvTier.Silo.Tests.Engines;

public sealed class BandwidthMeterTests
{
    [Fact]
    public void RateOf_NothingMeasured_IsAssumed()
    {
        var meter = new BandwidthMeter();
        Assert.True(meter.RateOf(LoadPath.Host) > 0 && meter.RateOf(LoadPath.Local) > meter.RateOf(LoadPath.Ssd));
        Assert.Equal(0, meter.SamplesOf(LoadPath.Ssd));
    }

    [Fact]
    public void Add_LargeTransfers_MoveTheAverageOfTheirPathOnly()
    {
        var meter = new BandwidthMeter();
        double host = meter.RateOf(LoadPath.Host);
        meter.Add(LoadPath.Ssd, 10_000_000, TimeSpan.FromSeconds(0.1));
        Assert.Equal(1e8, meter.RateOf(LoadPath.Ssd), 1);
        meter.Add(LoadPath.Ssd, 20_000_000, TimeSpan.FromSeconds(0.1));
        Assert.Equal(1.2e8, meter.RateOf(LoadPath.Ssd), 1);
        Assert.Equal(host, meter.RateOf(LoadPath.Host));
        Assert.Equal(2, meter.SamplesOf(LoadPath.Ssd));
    }

    [Fact]
    public void Add_SmallOrTimeless_IsNotCounted()
    {
        var meter = new BandwidthMeter();
        meter.Add(LoadPath.Host, BandwidthMeter.BytesMin - 1, TimeSpan.FromSeconds(10));
        meter.Add(LoadPath.Host, BandwidthMeter.BytesMin, TimeSpan.Zero);
        Assert.Equal(0, meter.SamplesOf(LoadPath.Host));
    }
}
