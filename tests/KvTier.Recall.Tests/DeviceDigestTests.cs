namespace KvTier.Recall.Tests;

/// <summary>Digests of hot sequences on a device, scored there. The stand-in for the device scores as the host does, so that answers are
/// equal to the last bit.</summary>
public class DeviceDigestTests : LeakGated
{
    private const int Tokens = 3300;

    private static readonly KvError error = new(ErrorCode.IoError, "device", "failed in mid-kernel");

    public static TheoryData<DigestKind, DigestForm, int, bool, int> Specs { get; } = new()
    {
        { DigestKind.Mean, DigestForm.Float32, 0, false, 1 },
        { DigestKind.Mean, DigestForm.Int8, 0, false, 2 },
        { DigestKind.MinMax, DigestForm.Float16, 0, false, 1 },
        { DigestKind.MinMax, DigestForm.Int8, 0, false, 4 },
        { DigestKind.Cuboid, DigestForm.Float32, 0, false, 1 },
        { DigestKind.Moments, DigestForm.Float16, 0, false, 1 },
        { DigestKind.Moments, DigestForm.Float32, 2, true, 1 },
        { DigestKind.Moments, DigestForm.Int8, 1, true, 1 },
    };

    [Theory]
    [MemberData(nameof(Specs))]
    public async Task RecallAsync_DigestsOnTheDevice_ChoosesAndEstimatesAsTheHostDoes(
        DigestKind kind, DigestForm form, int rank, bool bounds, int subChunks)
    {
        var spec = new DigestSpec
        {
            Kind = kind,
            Form = form,
            ChunkTokens = 8,
            Rank = rank,
            Bounds = bounds,
            SubChunks = subChunks,
            Peaks = kind == DigestKind.Moments ? rank : 0,
        };
        var device = new HostDevice(8 << 20);
        await using RecallHarness silo = await StartAsync(device, 8 << 20);
        await using RecallHarness host = await StartAsync(null, 0);
        var context = new KvContext(silo.Descriptor.Profile, Tokens, seed: 1);
        await silo.AddAsync("s", context, spec);
        await host.AddAsync("s", context, spec);
        Selector selector = Shapes.Selector(160, spec) with { Estimate = kind == DigestKind.Moments };
        for (int step = 0; step < 6; step++) await AssertSameAsync(silo, host, selector, seed: step, window: 1 + (step % 2));

        Assert.True(device.Scores > 0);
        Assert.Equal(3, silo.Recall.Stats.DeviceDigestSegments);
        Assert.InRange(silo.Recall.Stats.DeviceDigestBytes, 1, silo.Recall.Stats.DeviceBytes);
        Assert.Equal(silo.Recall.Stats.DeviceBytes, silo.Recall.Describe(silo.Namespace, "s").Value.DeviceBytes);
        Assert.True(silo.Recall.Stats.DeviceRowsScored > 0);
        Assert.Equal(0, silo.Recall.Stats.DeviceFallbacks);
    }

    [Fact]
    public async Task RecallAsync_MoreRowsThanTheDeviceScoresAtOnce_AreScoredInParts()
    {
        // Room for one KV head of the two: 3 segments of 128 means for 2 queries.
        var device = new HostDevice(8 << 20) { ScoresMax = 3 * 128 * 2 };
        await using RecallHarness silo = await StartAsync(device, 8 << 20);
        await using RecallHarness host = await StartAsync(null, 0);
        await AddBothAsync(silo, host);
        for (int step = 0; step < 5; step++) await AssertSameAsync(silo, host, Shapes.Selector(160), seed: step);
        Assert.True(device.Scores > 1);
        int before = device.Scores;
        await AssertSameAsync(silo, host, Shapes.Selector(160), seed: 1, window: 2);
        Assert.Equal(before, device.Scores);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RecallAsync_ScoringFails_HostScores(bool final)
    {
        var device = new HostDevice(8 << 20) { IsFinal = final };
        await using RecallHarness silo = await StartAsync(device, 8 << 20);
        await using RecallHarness host = await StartAsync(null, 0);
        var faults = new List<KvError>();
        var refusals = new List<KvError>();
        silo.Recall.OnDeviceFault = faults.Add;
        silo.Recall.OnDeviceRefusal = refusals.Add;
        await AddBothAsync(silo, host);
        for (int step = 0; step < 4; step++) await AssertSameAsync(silo, host, Shapes.Selector(160), seed: step);
        Assert.True(silo.Recall.Stats.DeviceDigestSegments > 0);
        int scores = device.Scores;
        device.NextError = error;
        for (int step = 0; step < 3; step++) await AssertSameAsync(silo, host, Shapes.Selector(160), seed: step);

        Assert.Equal(1, silo.Recall.Stats.DeviceFallbacks);
        Assert.Equal(final ? [error] : [], faults);
        Assert.Equal(final ? [] : [error], refusals);
        Assert.Equal(final, scores == device.Scores);
        Assert.Equal(final, silo.Recall.Stats.DeviceDigestSegments == 0);
        if (final) Assert.Equal(0, device.PlacesTaken);
    }

    [Fact]
    public async Task RecallAsync_DeviceFull_DigestsThatAreWantedLessGiveWay()
    {
        var device = new HostDevice(8 << 20);
        // A segment of means: 128 chunks of 16 floats and a flag for 4 heads.
        await using RecallHarness silo = await StartAsync(device, 3 * 4 * ((128 * 64) + 128));
        await using RecallHarness host = await StartAsync(null, 0);
        await AddBothAsync(silo, host);
        await AddBothAsync(silo, host, "t");
        for (int step = 0; step < 5; step++) await AssertSameAsync(silo, host, Shapes.Selector(160), seed: step);
        Assert.Equal(3, silo.Recall.Stats.DeviceDigestSegments);
        for (int step = 0; step < 30; step++) await AssertSameAsync(silo, host, Shapes.Selector(160), seed: step, name: "t");
        Assert.True(silo.Recall.Stats.DeviceEvictions > 0);
        Assert.True(silo.Recall.Describe(silo.Namespace, "t").Value.DeviceBytes > 0);
        await AssertSameAsync(silo, host, Shapes.Selector(160), seed: 1);
    }

    [Fact]
    public async Task RecallAsync_ForkWritesWhereItsOriginsDigestsAreOnTheDevice_SeesItsOwn()
    {
        var device = new HostDevice(8 << 20);
        await using RecallHarness silo = await StartAsync(device, 8 << 20);
        await using RecallHarness host = await StartAsync(null, 0);
        await AddBothAsync(silo, host);
        for (int step = 0; step < 5; step++) await AssertSameAsync(silo, host, Shapes.Selector(160), seed: step);
        Assert.Equal(3, device.PlacesTaken);
        var other = new KvContext(silo.Descriptor.Profile, 2400, seed: 7);
        foreach (RecallHarness each in (RecallHarness[])[silo, host])
        {
            // It ends inside the second segment, and is its only holder when it goes on with other blocks.
            Assert.True((await each.Recall.ForkAsync(each.Namespace, "s", "f", 1600, RecallHarness.Guard)).IsOk);
            Assert.True((await each.Recall.CloseAsync(each.Namespace, "s", RecallHarness.Guard)).IsOk);
            List<BlockId> ids = await each.PutAsync(other.Blocks());
            await each.AppendAsync("f", ids, other.Tokens);
        }

        Assert.Equal(1, device.PlacesTaken);
        for (int step = 0; step < 5; step++) await AssertSameAsync(silo, host, Shapes.Selector(160), seed: step, name: "f");
        Assert.Equal(3, silo.Recall.Stats.DeviceDigestSegments);
    }

    private static Task<RecallHarness> StartAsync(HostDevice? device, long bytes) => RecallHarness.StartAsync(
        null, new RecallOptions { HotSetBytes = 1 << 20, Workers = 2, DeviceBytes = bytes }, device: device);

    private static async Task AddBothAsync(RecallHarness silo, RecallHarness host, string name = "s")
    {
        var context = new KvContext(silo.Descriptor.Profile, Tokens, seed: name[0]);
        await silo.AddAsync(name, context);
        await host.AddAsync(name, context);
    }

    private static async Task AssertSameAsync(
        RecallHarness silo, RecallHarness host, Selector selector, int seed, int window = 1, string name = "s")
    {
        RecallRequest request = Requests.Attend(silo, selector, seed: seed, window: window, name: name) with
        {
            Mode = selector.Estimate ? RecallMode.Attend : RecallMode.Ids,
        };
        using RecallAnswer got = await silo.RecallAsync(request);
        using RecallAnswer expected = await host.RecallAsync(request with { Namespace = host.Namespace });
        Assert.Equal(expected.Items[0].Units.ToArray(), got.Items[0].Units.ToArray());
        Assert.Equal(expected.Items[0].Cost.DigestBytes, got.Items[0].Cost.DigestBytes);
        if (!selector.Estimate) return;
        float[] sums = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(got.Payload.Span).ToArray();
        float[] plain = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(expected.Payload.Span).ToArray();
        Assert.Equal(plain.Length, sums.Length);
        for (int i = 0; i < plain.Length; i++) Assert.InRange(sums[i], plain[i] - 1e-5f, plain[i] + 1e-5f);
    }
}
