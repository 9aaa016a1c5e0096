using KvTier.Silo;
using KvTier.Testing;

namespace KvTier.Client.Tests.Live;

/// <summary>Every operation against a real silo, on every way to it, with every byte verified.</summary>
public sealed class OperationTests
{
    [Theory]
    [CombinatorialWay]
    public async Task PutThenGet_OfManySizesInOneBatch_ReturnsEveryByte(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            int[] sizes = [0, 1, 7, 511, 512, 4095, 4096, 65_536, 65_537, 300_001, 1 << 20, (1 << 20) + 3, 3 << 20];
            Sample[] samples = [.. sizes.Select((size, i) => Sample.Make(ns, i, size))];
            var statuses = new PutStatus[samples.Length];
            PutSummary put = (await ns.PutAsync(samples.Select(s => new PutBlock(s.Key, s.Payload, 3)).ToArray(), statuses)).Value;
            Assert.Equal(new PutSummary(sizes.Length, 0, 0, null), put);
            Assert.All(statuses, status => Assert.Equal(PutStatus.Stored, status));
            put = (await ns.PutAsync(samples.Select(s => new PutBlock(s.Key, s.Payload, 3)).ToArray(), statuses)).Value;
            Assert.Equal(new PutSummary(0, sizes.Length, 0, null), put);
            byte[][] buffers = [.. sizes.Select(size => new byte[size + 5])];
            var results = new BlockResult[sizes.Length];
            GetBlock[] gets = [.. samples.Select((s, i) => new GetBlock(s.Id, buffers[i]))];
            GetSummary got = (await ns.GetAsync(gets, results)).Value;
            Assert.Equal(new GetSummary(sizes.Length, 0, 0, sizes.Sum(size => (long)size)), got);
            for (int i = 0; i < sizes.Length; i++)
            {
                Assert.Equal(new BlockResult(BlockStatus.HostHit, MissReason.None, sizes[i], sizes[i], 3), results[i]);
                Assert.Equal(-1, BlockBytes.FirstWrong(samples[i].Id, buffers[i].AsSpan(0, sizes[i])));
            }
        }
    }

    [Theory]
    [CombinatorialWay]
    public async Task GetAsync_MixedWithMissesAndShortBuffers_TellsEachApart(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            Sample here = Sample.Make(ns, 1, 200_000), deleted = Sample.Make(ns, 2, 50_000), never = Sample.Make(ns, 3, 10);
            Assert.True((await ns.PutAsync(here.Key, here.Payload)).IsOk);
            Assert.True((await ns.PutAsync(deleted.Key, deleted.Payload)).IsOk);
            Assert.Equal(1, (await ns.DeleteAsync(new[] { deleted.Id, never.Id })).Value);
            var buffer = new byte[200_000];
            var results = new BlockResult[4];
            GetBlock[] gets = [new(never.Id, new byte[10]), new(here.Id, new byte[199_999]), new(here.Id, buffer),
                new(deleted.Id, new byte[50_000])];
            GetSummary got = (await ns.GetAsync(gets, results)).Value;
            Assert.Equal(new GetSummary(1, 0, 3, 200_000), got);
            Assert.Equal(MissReason.NeverStored, results[0].Reason);
            Assert.Equal((BlockStatus.DestinationTooSmall, 200_000), (results[1].Status, results[1].BlockLength));
            Assert.Equal(-1, BlockBytes.FirstWrong(here.Id, buffer));
            Assert.Equal((BlockStatus.Miss, MissReason.Deleted), (results[3].Status, results[3].Reason));
        }
    }

    [Theory]
    [CombinatorialWay]
    public async Task GetAsync_OfRanges_ReturnsThoseBytes(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            Sample sample = Sample.Make(ns, 1, 100_000);
            Assert.True((await ns.PutAsync(sample.Key, sample.Payload)).IsOk);
            (int Offset, int Length)[] ranges = [(0, 1), (0, 100_000), (99_999, 1), (4097, 50_000), (500, 0)];
            byte[][] buffers = [.. ranges.Select(range => new byte[100_000])];
            var results = new BlockResult[ranges.Length];
            GetBlock[] gets = [.. ranges.Select((range, i) => new GetBlock(sample.Id, buffers[i], range.Offset, range.Length))];
            Assert.Equal(ranges.Length, (await ns.GetAsync(gets, results)).Value.Hits);
            for (int i = 0; i < ranges.Length; i++)
            {
                int length = ranges[i].Length == 0 ? 100_000 - ranges[i].Offset : ranges[i].Length;
                Assert.Equal((length, 100_000), (results[i].Length, results[i].BlockLength));
                Assert.Equal(-1, BlockBytes.FirstWrong(sample.Id, buffers[i].AsSpan(0, length), ranges[i].Offset));
            }

            Result<BlockResult> outside = await ns.GetAsync(new GetBlock(sample.Id, new byte[10], 99_999, 2));
            Assert.Equal(ErrorCode.InvalidArgument, outside.Error!.Code);
            Assert.Null(await client.PingAsync());
        }
    }

    [Theory]
    [CombinatorialWay]
    public async Task Queries_OnStoredBlocks_TellWhatIsKnown(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            Sample[] samples = [.. Enumerable.Range(0, 5).Select(i => Sample.Make(ns, i, 20_000 + i))];
            PutBlock[] puts = [.. samples.Where((_, i) => i != 3).Select(s => new PutBlock(s.Key, s.Payload))];
            Assert.Equal(4, (await ns.PutAsync(puts, default, new PutOptions { TimeToLive = TimeSpan.FromHours(1) })).Value.Stored);
            BlockId[] ids = [.. samples.Select(s => s.Id)];
            var tiers = new TierSet[5];
            Assert.Equal(3, (await ns.PrefixAsync(ids, tiers, touch: true)).Value);
            Assert.Equal([TierSet.Host, TierSet.Host, TierSet.Host, TierSet.None, TierSet.None], tiers);
            var done = new bool[5];
            Assert.Equal(4, (await ns.PinAsync(ids, TimeSpan.FromMinutes(1), done)).Value);
            Assert.Equal([true, true, true, false, true], done);
            var known = new BlockDescription[5];
            Assert.Equal(4, (await ns.DescribeAsync(ids, known)).Value);
            Assert.Equal((20_001, TierSet.Host, Crc32C.Compute(samples[1].Payload)),
                (known[1].Length, known[1].Tiers, known[1].PayloadCrc));
            Assert.True(known[1].PinnedUntilUnixMs > 0 && known[1].ExpiryUnixMs > 0);
            Assert.Equal(MissReason.NeverStored, known[3].Reason);
            Assert.Equal(4, (await ns.UnpinAsync(ids)).Value);
            Assert.Equal(0, (await ns.UnpinAsync(ids)).Value);
            Assert.Equal(4, (await ns.TouchAsync(ids)).Value);
            Assert.Equal(4, (await ns.PrefetchAsync(ids)).Value);
            Assert.Contains("\"keyBytesMax\"", (await client.StatAsync()).Value, StringComparison.Ordinal);
            NamespaceInfo[] namespaces = (await client.ListNamespacesAsync()).Value;
            Assert.Contains(new NamespaceInfo(LiveSilo.Opaque, 4), namespaces);
        }
    }

    [Theory]
    [CombinatorialWay]
    public async Task PutAsync_WithAckSsd_IsDurableAndComesBackAfterARestart(Way way)
    {
        await using LiveSilo silo = await LiveSilo
            .StartAsync(options =>
                options with { DataDirectory = Path.Combine(Path.GetDirectoryName(options.UnixSocket)!, "data"), SsdBytes = 1L << 30 });
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            Sample sample = Sample.Make(ns, 1, 1 << 20);
            PutOptions durable = new() { Ack = AckLevel.Ssd };
            Assert.Equal(PutStatus.Stored, (await ns.PutAsync(sample.Key, sample.Payload, durable)).Value);
            Assert.Equal(PutStatus.Present, (await ns.PutAsync(sample.Key, sample.Payload, durable)).Value);
            var known = new BlockDescription[1];
            Assert.Equal(1, (await ns.DescribeAsync(new[] { sample.Id }, known)).Value);
            Assert.True(known[0].Durable);
            await silo.RestartAsync();
            var buffer = new byte[1 << 20];
            BlockResult answer = (await ns.GetAsync(new GetBlock(sample.Id, buffer))).Value;
            Assert.Equal(BlockStatus.SsdHit, answer.Status);
            Assert.Equal(-1, BlockBytes.FirstWrong(sample.Id, buffer));
        }
    }

    [Theory]
    [CombinatorialWay]
    public async Task PutAsync_WithAckSsdWithoutATier_StoresInMemoryAndSaysSo(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            Sample sample = Sample.Make(ns, 1, 50_000);
            PutBlock[] puts = [new PutBlock(sample.Key, sample.Payload)];
            PutSummary summary = (await ns.PutAsync(puts, default, new PutOptions { Ack = AckLevel.Ssd })).Value;
            Assert.Equal(1, summary.Stored);
            Assert.Equal(ErrorCode.Unsupported, summary.Error!.Code);
            Assert.True((await ns.GetAsync(new GetBlock(sample.Id, new byte[50_000]))).Value.IsHit);
        }
    }

    [Theory]
    [CombinatorialWay]
    public async Task PutAsync_WithOverwrite_ReplacesTheBytes(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            Sample sample = Sample.Make(ns, 1, 40_000);
            Assert.True((await ns.PutAsync(sample.Key, new byte[50_000])).IsOk);
            Assert.Equal(PutStatus.Stored, (await ns.PutAsync(sample.Key, sample.Payload, new PutOptions { Overwrite = true })).Value);
            (BlockResult answer, byte[] bytes) = (await ns.GetArrayAsync(sample.Id)).Value;
            Assert.True(answer.IsHit);
            Assert.Equal(sample.Payload, bytes);
        }
    }

    [Fact]
    public async Task OpenNamespaceAsync_WithAnotherProfileUnderTheName_IsRefusedWithTheField()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, _) = await silo.ConnectAsync(Way.Tcp);
        await using (client)
        {
            Assert.True((await client.OpenNamespaceAsync(new NamespaceDescriptor("a", Profiles.Qwen3_8B))).IsOk);
            ModelProfile other = Profiles.Qwen3_8B with { Layers = 35 };
            KvError error = (await client.OpenNamespaceAsync(new NamespaceDescriptor("a", other))).Error!;
            Assert.Equal(ErrorCode.NamespaceMismatch, error.Code);
            Assert.Contains("layers", error.Field, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ConnectAsync_WithAWrongToken_IsUnauthorized()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync(options => options with { Token = "right" });
        KvTierClientOptions options = silo.ClientOptions(Way.Tcp);
        options.Token = "wrong";
        Assert.Equal(ErrorCode.Unauthorized, (await KvTierClient.ConnectAsync(options)).Error!.Code);
        options.Token = "right";
        await using KvTierClient client = (await KvTierClient.ConnectAsync(options)).Value;
        Assert.Null(await client.PingAsync());
    }

    [Theory]
    [CombinatorialWay]
    public async Task ManyCallers_PuttingAndGetting_NeverSeeWrongBytesAndLeaveNoLease(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            await Parallel.ForAsync(0, 400, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, _) =>
            {
                // More bytes than the host tier holds: some blocks give way to others, and are then honest misses.
                Sample sample = Sample.Make(ns, i, 20_000 + (int)((uint)(i * 2_654_435_761) % 500_000));
                Assert.True((await ns.PutAsync(sample.Key, sample.Payload)).IsOk);
                Sample earlier = Sample.Make(ns, i - (i % 7), 1);
                (BlockResult answer, byte[] bytes) = (await ns.GetArrayAsync(earlier.Id)).Value;
                if (answer.IsHit) Assert.Equal(-1, BlockBytes.FirstWrong(earlier.Id, bytes));
                else Assert.Contains(answer.Reason, new[] { MissReason.NeverStored, MissReason.Evicted, MissReason.NotSealed });
            });
            Assert.Null(await client.PingAsync());
            Assert.Equal((0, 0), (client.LeasesHeld, client.ReservationsHeld));
        }

        await LocalTests.WaitUntilAsync(() => silo.Host.Engine.Stats.ReservedSlots == 0);
    }
}

/// <summary>All three ways.</summary>
public sealed class CombinatorialWayAttribute : Xunit.v3.DataAttribute
{
    public override ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(System.Reflection.MethodInfo testMethod,
        Xunit.Sdk.DisposalTracker disposalTracker) =>
        new([.. Enum.GetValues<Way>().Select(way => new TheoryDataRow<Way>(way))]);

    public override bool SupportsDiscoveryEnumeration() => true;
}

/// <summary>A block whose bytes follow from its id.</summary>
public sealed record Sample(byte[] Key, byte[] Payload, BlockId Id)
{
    public static Sample Make(KvNamespace ns, int number, int length)
    {
        byte[] key = BitConverter.GetBytes(number);
        BlockId id = ns.IdOf(key);
        var payload = new byte[length];
        BlockBytes.Fill(id, payload);
        return new Sample(key, payload, id);
    }
}
