using System.Globalization;
using KvTier.Testing;
using static KvTier.Cluster.Tests.EtcdCluster;

namespace KvTier.Cluster.Tests;

public sealed class EtcdClockTests
{
    [Theory]
    [InlineData(45)]
    [InlineData(-45)]
    [InlineData(86_400 * 365)]
    public async Task JoinAsync_ClockOfAnotherTimeThanEtcds_IsRefusedWithBothTimes(int seconds)
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine engine = Engine(etcd, new ShiftedTime(TimeSpan.FromSeconds(seconds)));
        KvError error = (await engine.JoinAsync(Silo("a"), Ttl, Long)).Error!;
        Assert.Equal((ErrorCode.InvalidArgument, "clock"), (error.Code, error.Field));
        TimeSpan apart = TimeIn(error.Value) - TimeIn(error.Limit);
        Assert.InRange(apart.TotalSeconds, seconds - 10, seconds + 10);
        Assert.Contains("NTP", error.Limit, StringComparison.Ordinal);
        Assert.Empty(await etcd.KeysAsync("/kvtier/"));
    }

    [Theory]
    [InlineData(20)]
    [InlineData(-20)]
    public async Task JoinAsync_ClockThatIsALittleWrong_IsTaken(int seconds)
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine engine = Engine(etcd, new ShiftedTime(TimeSpan.FromSeconds(seconds)));
        Assert.True((await engine.JoinAsync(Silo("a"), Ttl, Long)).IsOk);
    }

    [Fact]
    public async Task JoinAsync_AgainAfterTheClockJumped_IsTaken()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        var time = new ShiftedTime(TimeSpan.Zero);
        await using EtcdEngine engine = Engine(etcd, time);
        Assert.True((await engine.JoinAsync(Silo("a"), Ttl, Long)).IsOk);
        time.Shift = TimeSpan.FromDays(1);
        Assert.Null(await engine.RenewAsync(new SiloLoad(), Long));
        Assert.True((await engine.JoinAsync(Silo("a"), Ttl, Long)).IsOk);
    }

    private static DateTimeOffset TimeIn(string text) => DateTimeOffset.Parse(
        text.Split(' ', ',').Single(word => word.EndsWith('Z')), CultureInfo.InvariantCulture);

    private static EtcdEngine Engine(EtcdProcess etcd, TimeProvider time) =>
        EtcdEngine.Create(Options(etcd.Endpoint), new ClusterOptions { Cluster = "test" }, time).Value;

    /// <summary>The system's clock, but for a wall clock that was set wrong.</summary>
    private sealed class ShiftedTime(TimeSpan shift) : TimeProvider
    {
        public TimeSpan Shift { get; set; } = shift;

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Shift;
    }
}
