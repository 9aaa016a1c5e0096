namespace KvTier.Kernels.Device.Tests;

public sealed class ScoreWorkloadTests : LeakGated
{
    [Theory]
    [InlineData(Dtype.Float32)]
    [InlineData(Dtype.Float16)]
    [InlineData(Dtype.BFloat16)]
    [InlineData(Dtype.Int8)]
    public void Run_Repeated_ScoresAllRows(Dtype dtype)
    {
        using DeviceScoreWorkload workload = DeviceScoreWorkload.Open(DeviceFixture.Options, dtype, 300, 64, 4, seed: 1).Value;
        Assert.Equal(300L * 64 * dtype.SizeBytes(), workload.BytesPerRun);
        Assert.Null(workload.Run());
        Assert.Null(workload.Run());
    }

    [Fact]
    public void Open_BadShapes_AreRefusedByName()
    {
        Assert.Equal("rows", DeviceScoreWorkload.Open(DeviceFixture.Options, Dtype.Float16, 0, 64, 4, 1).Error!.Field);
        Assert.Equal("rowLength", DeviceScoreWorkload.Open(DeviceFixture.Options, Dtype.Float16, 1, 20, 4, 1).Error!.Field);
        Assert.Equal("score.queries", DeviceScoreWorkload.Open(DeviceFixture.Options, Dtype.Float16, 1, 64, 65, 1).Error!.Field);
        Assert.Equal("score.dtype", DeviceScoreWorkload.Open(DeviceFixture.Options, Dtype.Raw, 1, 64, 1, 1).Error!.Field);
    }
}
