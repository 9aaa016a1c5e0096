using System.Text.Json;
using KvTier.Kernels.Device;
using KvTier.Protocol;
using KvTier.Silo.Metrics;
using KvTier.Silo.Tests.Support;
using KvTier.Testing;

namespace KvTier.Silo.Tests;

/// <summary>A silo with a device: PoCL, or whatever OpenCL finds.</summary>
public sealed class DeviceTests : SiloTest
{
    private readonly LogKeeper log = new();

    [Fact]
    public async Task Recall_OfBlocksOnTheDevice_AttendsAsTheHostDoes()
    {
        SiloHost host = await StartAsync(DeviceRuns.Small);
        RawClient client = Connect(host, SequenceCalls.Namespace);
        SequenceCalls.Store(client, "a", 6);
        float[] onHost = DeviceRuns.Attend(client, "a", SequenceCalls.Queries());
        await AttendUntilAsync(client, "a", onHost, () => host.Engine.Stats.DeviceBlocks == 6);
        DeviceRuns.AssertClose(onHost, DeviceRuns.Attend(client, "a", SequenceCalls.Queries()));

        Assert.True(host.Engine.Describe(client.Namespace, client.Id("a/3")).Tiers.HasFlag(TierSet.Device));
        await UntilAsync(() => Value(host, "kvtier.device.moves", "up") == 6, "the last copy to be counted");
        Assert.InRange(Value(host, "kvtier.device.used"), 6 * SequenceCalls.Profile.BlockBytes, Value(host, "kvtier.device.capacity"));
        Assert.Equal(0, Value(host, "kvtier.device.fallbacks"));
        Assert.Equal(1, Value(host, "kvtier.device.info", host.Device!.Name));
        Assert.Contains(host.Device.Name, Assert.Single(log.Of(5016)), StringComparison.Ordinal);
        using JsonDocument stat = JsonDocument.Parse(StatResponse.Read(client.Ask(Opcode.Stat, EmptyBody.Write).Ok()).Value);
        Assert.Equal(host.Device.Name, stat.RootElement.GetProperty("device").GetProperty("name").GetString());
        Assert.Equal(6, stat.RootElement.GetProperty("engine").GetProperty("deviceBlocks").GetInt64());
    }

    [Fact]
    public async Task Recall_DeviceMemoryExhausted_BlocksMoveDownAndAnswersStayRight()
    {
        // One megabyte for slots holds 64 of the blocks.
        SiloHost host = await StartAsync(DeviceRuns.Small with { Bytes = 2 << 20 });
        RawClient client = Connect(host, SequenceCalls.Namespace);
        SequenceCalls.Store(client, "a", 100);
        SequenceCalls.Store(client, "b", 100);
        float[] first = DeviceRuns.Attend(client, "a", SequenceCalls.Queries());
        float[] second = DeviceRuns.Attend(client, "b", SequenceCalls.Queries());
        await AttendUntilAsync(client, "a", first, () => host.Engine.Stats.DeviceBlocks >= 50);
        await AttendUntilAsync(client, "b", second, () => Value(host, "kvtier.device.moves", "down") > 0);

        Assert.InRange(Value(host, "kvtier.device.used"), 1, Value(host, "kvtier.device.capacity"));
        Assert.Equal(0, Value(host, "kvtier.device.fallbacks"));
        DeviceRuns.AssertClose(first, DeviceRuns.Attend(client, "a", SequenceCalls.Queries()));
    }

    [Fact]
    public async Task Recall_OfDigestsOnTheDevice_ChoosesAsTheHostDoes()
    {
        SiloHost host = await StartAsync(DeviceRuns.Small);
        RawClient client = Connect(host, SequenceCalls.Namespace);
        SequenceCalls.Store(client, "a", 150);
        // Means, queries and their products are sums of few binary places: scores are exact, ties included.
        Selector few = SequenceCalls.Whole with { Budget = RecallBudget.OfTokens(256) };
        float[] onHost = DeviceRuns.Attend(client, "a", SequenceCalls.Queries(), few);
        await AttendUntilAsync(client, "a", onHost, () => Value(host, "kvtier.device.rows_scored") > 0, few);
        DeviceRuns.AssertClose(onHost, DeviceRuns.Attend(client, "a", SequenceCalls.Queries(), few));

        Assert.InRange(Value(host, "kvtier.device.digests"), 1, Value(host, "kvtier.device.used"));
        Assert.Equal(0, Value(host, "kvtier.device.fallbacks"));
    }

    [Theory]
    [InlineData(DeviceFault.Refused)]
    [InlineData(DeviceFault.Fails)]
    [InlineData(DeviceFault.NeverEnds)]
    public async Task Recall_DeviceFailsInMidKernel_HostAnswersAndMetricAndLogSaySo(DeviceFault fault)
    {
        FaultyDeviceDriver? driver = null;
        SiloHost host = await StartAsync(DeviceRuns.Small, options => DeviceRuns.OpenFaulty(options, made => driver = made));
        RawClient client = Connect(host, SequenceCalls.Namespace);
        SequenceCalls.Store(client, "a", 6);
        float[] onHost = DeviceRuns.Attend(client, "a", SequenceCalls.Queries());
        await AttendUntilAsync(client, "a", onHost, () => host.Engine.Stats.DeviceBlocks == 6);
        driver!.Inject(DeviceOperation.Launch, 1, fault);
        for (int step = 0; step < 3; step++) DeviceRuns.AssertClose(onHost, DeviceRuns.Attend(client, "a", SequenceCalls.Queries()));

        Assert.Equal(1, Value(host, "kvtier.device.fallbacks"));
        Assert.Equal(1, Value(host, "kvtier.device.failed"));
        Assert.Equal((0L, 0L), (host.Engine.Stats.DeviceBlocks, (long)Value(host, "kvtier.device.used")));
        Assert.Single(log.Of(5018));
    }

    [Fact]
    public async Task Start_WithADriverThatIsNotThere_IsRefusedUnlessItIsAuto()
    {
        Result<RecallDevice> Missing(DeviceOptions options) => new KvError(ErrorCode.Unavailable, "device.driver", "x", "tried all");
        SiloOptions options = Small with { Device = DeviceRuns.Small };
        KvError error = (await SiloHost.StartAsync(options, log, TimeProvider.System, null, default, Missing)).Error!;
        Assert.Equal((ErrorCode.Unavailable, "device.driver"), (error.Code, error.Field));

        SiloHost host = await StartAsync(DeviceRuns.Small with { Driver = "auto" }, Missing);
        Assert.Null(host.Device);
        Assert.Contains("tried all", Assert.Single(log.Of(5017)), StringComparison.Ordinal);
        Assert.Empty(Samples(host, "kvtier.device.info"));
    }

    [Fact]
    public async Task Start_WithMoreDeviceMemoryThanThereIs_NamesTheOption()
    {
        SiloOptions options = Small with { Device = DeviceRuns.Small with { Bytes = 1L << 44 } };
        KvError error = (await SiloHost.StartAsync(options)).Error!;
        Assert.Equal((ErrorCode.LimitExceeded, "device.bytes"), (error.Code, error.Field));
    }

    [Fact]
    public void Options_OfADeviceWithoutRoomBesideScratch_AreRefused()
    {
        SiloOptions options = Small with { Device = DeviceRuns.Small with { Bytes = 3 << 20, ScratchBytes = 3 << 20 } };
        Assert.Equal("device.bytes", options.Validate()!.Field);
        Assert.Null((options with { Device = options.Device with { Driver = "none" } }).Validate());
        Assert.Equal("device.driver", (Small with { Device = new DeviceSettings { Driver = "vulkan" } }).Validate()!.Field);
    }

    private async Task<SiloHost> StartAsync(DeviceSettings device, Func<DeviceOptions, Result<RecallDevice>>? open = null) =>
        Keep((await SiloHost.StartAsync(Small with { Device = device }, log, TimeProvider.System, null, default, open)).Value);

    /// <summary>Attends until something holds. The kernels are built meanwhile, which takes long on a busy machine.</summary>
    private Task AttendUntilAsync(
        RawClient client, string sequence, float[] expected, Func<bool> condition, Selector? selector = null) => UntilAsync(
        () =>
        {
            Assert.Empty(log.Of(5018));
            DeviceRuns.AssertClose(expected, DeviceRuns.Attend(client, sequence, SequenceCalls.Queries(), selector));
            return condition();
        },
        "the device to do its work",
        seconds: 300);

    private static MetricSample[] Samples(SiloHost host, string name) =>
        [.. host.Catalog.Definitions.Single(metric => metric.Name == name).Collect()];

    private static double Value(SiloHost host, string name, string label = "") =>
        Samples(host, name).Single(sample => sample.LabelValue == label).Value;
}
