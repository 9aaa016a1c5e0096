namespace KvTier.Recall.Tests;

/// <summary>Blocks on a device, and a device that is full or fails.</summary>
public class DeviceTierTests : LeakGated
{
    private const int BlockBytes = 2 * 2 * 2 * 16 * 16 * 4;

    private static readonly KvError error = new(ErrorCode.IoError, "device", "failed in mid-kernel");

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task RecallAsync_Repeated_HotBlocksMoveUpAndAnswersAgree(int window)
    {
        var device = new HostDevice(64 * BlockBytes);
        await using RecallHarness silo = await StartAsync(device, 64);
        KvContext context = await AddAsync(silo, 300);
        for (int step = 0; step < 4; step++) await AttendAsync(silo, context, seed: 9, window: window);

        Assert.True(device.Attends > 0);
        Assert.True(silo.Recall.Stats.DeviceBlocks > 0);
        Assert.Equal(silo.Recall.Stats.DeviceBlocks, silo.Engine.Stats.DeviceBlocks);
        Assert.Equal(silo.Recall.Stats.DeviceBytes, silo.Recall.Describe(silo.Namespace, "s").Value.DeviceBytes);
        for (int step = 0; step < 10; step++) await AttendAsync(silo, context, seed: step, window: window);
    }

    [Fact]
    public async Task RecallAsync_DeviceMemoryExhausted_TheLeastPickedGoAndBudgetHolds()
    {
        var device = new HostDevice(64 * BlockBytes);
        await using RecallHarness silo = await StartAsync(device, blocks: 3);
        KvContext context = await AddAsync(silo, 400);
        for (int step = 0; step < 6; step++) await AttendAsync(silo, context, seed: 1);
        Assert.InRange(silo.Recall.Stats.DeviceBytes, BlockBytes, 3 * BlockBytes);
        for (int step = 0; step < 40; step++)
        {
            await AttendAsync(silo, context, seed: 2);
            Assert.InRange(silo.Recall.Stats.DeviceBytes, BlockBytes, 3 * BlockBytes);
        }

        Assert.True(silo.Recall.Stats.DeviceEvictions > 0);
        Assert.Equal(silo.Recall.Stats.DeviceBlocks, device.PlacesTaken);
        Assert.Null(silo.Recall.Stats.DeviceFault);
    }

    [Fact]
    public async Task RecallAsync_DeviceFailsInMidKernel_HostAnswersThisAndAllLaterCalls()
    {
        var device = new HostDevice(64 * BlockBytes) { IsFinal = true };
        await using RecallHarness silo = await StartAsync(device, 64);
        KvError? told = null;
        silo.Recall.OnDeviceFault = fault => told = fault;
        KvContext context = await AddAsync(silo, 300);
        for (int step = 0; step < 4; step++) await AttendAsync(silo, context, seed: 9);
        int attends = device.Attends;
        device.NextError = error;

        for (int step = 0; step < 3; step++) await AttendAsync(silo, context, seed: 9);

        Assert.Equal(attends, device.Attends);
        Assert.Equal(error, told);
        Assert.Equal(error, silo.Recall.Stats.DeviceFault);
        Assert.Equal((1, 0L, 0L), (silo.Recall.Stats.DeviceFallbacks, silo.Recall.Stats.DeviceBytes, silo.Engine.Stats.DeviceBlocks));
        Assert.Equal(0, device.PlacesTaken);
        Assert.Equal(0, silo.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task RecallAsync_DeviceRefusesOneRequest_HostAnswersItAndTheNextGoesThereAgain()
    {
        var device = new HostDevice(64 * BlockBytes);
        await using RecallHarness silo = await StartAsync(device, 64);
        KvContext context = await AddAsync(silo, 300);
        for (int step = 0; step < 4; step++) await AttendAsync(silo, context, seed: 9);
        int attends = device.Attends;
        device.NextError = error;
        await AttendAsync(silo, context, seed: 9);
        Assert.Equal(attends, device.Attends);
        await AttendAsync(silo, context, seed: 9);
        Assert.Equal(attends + 1, device.Attends);
        Assert.Equal(1, silo.Recall.Stats.DeviceFallbacks);
        Assert.Null(silo.Recall.Stats.DeviceFault);
    }

    [Fact]
    public async Task RecallAsync_CopyFails_BlockIsNotThere()
    {
        var device = new HostDevice(64 * BlockBytes) { IsFinal = true };
        await using RecallHarness silo = await StartAsync(device, 64);
        KvContext context = await AddAsync(silo, 300);
        await AttendAsync(silo, context, seed: 9);
        device.NextError = error;
        for (int step = 0; step < 3; step++) await AttendAsync(silo, context, seed: 9);
        Assert.Equal(error, silo.Recall.Stats.DeviceFault);
        Assert.Equal(0, device.PlacesTaken);
    }

    [Fact]
    public async Task RecallAsync_BlockDeletedWhileOnTheDevice_ItsCopyGoesAndItIsMissing()
    {
        var device = new HostDevice(64 * BlockBytes);
        await using RecallHarness silo = await StartAsync(device, 64);
        var context = new KvContext(silo.Descriptor.Profile, 64, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        RecallRequest request = Requests.Attend(silo, Shapes.All());
        for (int step = 0; step < 4; step++) (await silo.RecallAsync(request)).Dispose();
        Assert.Equal(4, device.PlacesTaken);
        Assert.True(silo.Engine.Describe(silo.Namespace, ids[1]).Tiers.HasFlag(TierSet.Device));
        silo.Engine.Delete(silo.Namespace, ids[1]);

        using RecallAnswer answer = await silo.RecallAsync(request);

        Assert.Equal([new MissingTokens(16, 16, MissReason.Deleted)], answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        Assert.Equal(3, device.PlacesTaken);
    }

    [Fact]
    public async Task RecallAsync_BlocksOnDeviceOnly_AttendWithoutHostOrSsd()
    {
        var device = new HostDevice(64 * BlockBytes);
        await using RecallHarness silo = await StartAsync(device, 64);
        var context = new KvContext(silo.Descriptor.Profile, 64, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        RecallRequest request = Requests.Attend(silo, Shapes.All());
        for (int step = 0; step < 4; step++) (await silo.RecallAsync(request)).Dispose();
        await silo.DemoteAsync(ids);

        using (RecallAnswer answer = await silo.RecallAsync(request))
        {
            Assert.Equal(0, answer.Items[0].Cost.SsdBytes);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        }

        RecallRequest rows = request with { Mode = RecallMode.Gather };
        using RecallAnswer gathered = await silo.RecallAsync(rows);
        Answers.AssertGathers(gathered, gathered.Items[0], rows.Items[0], context, silo.Layout);
    }

    [Fact]
    public async Task RecallAsync_KeysStoredBeforeRotation_StayOnTheHost()
    {
        var device = new HostDevice(64 * BlockBytes);
        await using RecallHarness silo = await StartAsync(device, 64, Shapes.Gqa(preRotation: true));
        KvContext context = await AddAsync(silo, 200);
        for (int step = 0; step < 5; step++) await AttendAsync(silo, context, seed: 9);
        Assert.Equal(0, device.Copies);
    }

    private static Task<RecallHarness> StartAsync(HostDevice device, int blocks, ModelProfile? profile = null) => RecallHarness.StartAsync(
        profile, new RecallOptions { HotSetBytes = 1 << 20, Workers = 2, DeviceBytes = (long)blocks * BlockBytes }, device: device);

    private static async Task<KvContext> AddAsync(RecallHarness silo, int tokens)
    {
        var context = new KvContext(silo.Descriptor.Profile, tokens, seed: 1);
        await silo.AddAsync("s", context);
        return context;
    }

    private static async Task AttendAsync(RecallHarness silo, KvContext context, int seed, int window = 1)
    {
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(32), seed: seed, window: window) with
        {
            Items =
            [
                Requests.Item(silo, seed: seed, window: window), Requests.Item(silo, layer: 0, seed: seed + 1, window: window),
            ],
        };
        using RecallAnswer answer = await silo.RecallAsync(request);
        for (int i = 0; i < 2; i++)
            Answers.AssertAttends(answer, answer.Items[i], request, request.Items[i], context, silo.Layout);
    }
}
