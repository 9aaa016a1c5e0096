
namespace KvTier.Client.Tests.Live;

/// <summary>Leases and reservations in shared memory, against a real silo.</summary>
public sealed class LocalTests
{
    [Fact]
    public async Task LeaseAsync_OfStoredBlocks_ShowsTheBytesInPlace()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local);
        await using (client)
        {
            Sample[] samples = [.. new[] { 1, 4096, 100_000, 1 << 20 }.Select((size, i) => Sample.Make(ns, i, size))];
            Assert.Equal(4, (await ns.PutAsync(samples.Select(s => new PutBlock(s.Key, s.Payload)).ToArray())).Value.Stored);
            BlockId[] ids = [.. samples.Select(s => s.Id), new BlockId(1, 1)];
            var leases = new BlockLease[5];
            Assert.Equal(4, (await ns.LeaseAsync(ids, leases)).Value);
            for (int i = 0; i < 4; i++)
            {
                Assert.True(leases[i].IsValid);
                Assert.True(leases[i].Memory.Span.SequenceEqual(samples[i].Payload));
                Assert.True(leases[i].Verify());
                var copy = new byte[leases[i].Length];
                Assert.True(leases[i].TryCopyTo(copy));
                Assert.Equal(samples[i].Payload, copy);
            }

            Assert.Equal((BlockStatus.Miss, MissReason.NeverStored), (leases[4].Status, leases[4].Reason));
            Assert.Equal(4, client.LeasesHeld);
            Assert.Equal(4, silo.Host.Engine.Stats.LeasedSlots);
            foreach (BlockLease lease in leases) lease.Dispose();
            foreach (BlockLease lease in leases) lease.Dispose();
            Assert.Equal(0, client.LeasesHeld);
            Assert.False(leases[2].IsValid);
            Assert.False(leases[2].Verify());
            Assert.Throws<ObjectDisposedException>(() => leases[2].Memory);

            // The next request carries the leases back.
            Assert.Null(await client.PingAsync());
            await WaitUntilAsync(() => silo.Host.Engine.Stats.LeasedSlots == 0);
        }
    }

    [Theory]
    [InlineData(Way.Local)]
    [InlineData(Way.Tcp)]
    public async Task PutAsync_BatchLargerThanTheArena_IsStored(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync(options => options with { HostBytes = 4 << 20, PutWaitMs = 30_000 });
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(way);
        await using (client)
        {
            Sample[] samples = [.. Enumerable.Range(0, 80).Select(i => Sample.Make(ns, i, 100_000))];
            var statuses = new PutStatus[samples.Length];
            PutSummary put = (await ns.PutAsync(samples.Select(s => new PutBlock(s.Key, s.Payload)).ToArray(), statuses)).Value;
            Assert.Null(put.Error);
            Assert.Equal((80, 0), (put.Stored, put.Refused));
            Assert.All(statuses, status => Assert.Equal(PutStatus.Stored, status));
            Assert.Equal(0, client.ReservationsHeld);
            (BlockResult answer, byte[] bytes) = (await ns.GetArrayAsync(samples[^1].Id)).Value;
            Assert.True(answer.IsHit);
            Assert.Equal(samples[^1].Payload, bytes);
        }
    }

    [Fact]
    public async Task PutAsync_FirstRequestOfAClientIsABatchLargerThanTheArena_IsStored()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync(options => options with { HostBytes = 4 << 20, PutWaitMs = 30_000 });
        await using var client = new KvTierClient(silo.ClientOptions(Way.Local));
        KvNamespace ns = client.NamespaceOf(LiveSilo.Opaque);
        PutBlock[] blocks =
            [.. Enumerable.Range(0, 80).Select(i => Sample.Make(ns, i, 100_000)).Select(s => new PutBlock(s.Key, s.Payload))];
        Assert.Equal(80, (await ns.PutAsync(blocks)).Value.Stored);
    }

    [Fact]
    public async Task LeaseAsync_OfAnEmptyBlock_IsAHitWithoutBytes()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local);
        await using (client)
        {
            Sample sample = Sample.Make(ns, 1, 0);
            Assert.True((await ns.PutAsync(sample.Key, sample.Payload)).IsOk);
            using BlockLease lease = (await ns.LeaseAsync(sample.Id)).Value;
            Assert.True(lease.IsHit && lease.Memory.IsEmpty && lease.Verify());
        }
    }

    [Fact]
    public async Task LeaseAsync_NotFollowedByARequest_IsGivenBackAfterTheDelay()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local);
        await using (client)
        {
            Sample sample = Sample.Make(ns, 1, 100_000);
            Assert.True((await ns.PutAsync(sample.Key, sample.Payload)).IsOk);
            (await ns.LeaseAsync(sample.Id)).Value.Dispose();
            await WaitUntilAsync(() => silo.Host.Engine.Stats.LeasedSlots == 0);
        }
    }

    [Fact]
    public async Task Lease_PastItsDeadline_ShowsNothingAnyMore()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        var clock = new ShiftedTime();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local, options =>
        {
            options.TimeProvider = clock;
            options.LeaseDuration = TimeSpan.FromSeconds(20);
        });
        await using (client)
        {
            Sample sample = Sample.Make(ns, 1, 100_000);
            Assert.True((await ns.PutAsync(sample.Key, sample.Payload)).IsOk);
            using BlockLease lease = (await ns.LeaseAsync(sample.Id)).Value;
            Assert.True(lease.IsValid);
            int seen = 0;
            Assert.False(lease.TryRead(clock, (bytes, time) =>
            {
                // The lease runs out while the bytes are read: what was read does not count.
                seen = bytes.Length;
                time.Shift = TimeSpan.FromSeconds(21);
            }));
            Assert.Equal(100_000, seen);
            Assert.False(lease.IsValid);
            Assert.False(lease.Verify());
            Assert.False(lease.TryCopyTo(new byte[100_000]));
        }
    }

    [Fact]
    public async Task Lease_AfterTheSiloHasRestarted_IsVoidAndTheClientMapsTheNewArena()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local);
        await using (client)
        {
            Sample sample = Sample.Make(ns, 1, 100_000);
            Assert.True((await ns.PutAsync(sample.Key, sample.Payload)).IsOk);
            BlockLease lease = (await ns.LeaseAsync(sample.Id)).Value;
            await silo.RestartAsync();
            Assert.Equal(BlockStatus.Miss, (await ns.LeaseAsync(sample.Id)).Value.Status);
            Assert.False(lease.IsValid);

            // Still mapped while the lease is held: a reader in the middle of it finds old bytes, not a crash.
            Assert.Equal(100_000, lease.Memory.Length);
            Assert.Equal(sample.Payload[99_999], lease.Memory.Span[99_999]);
            lease.Dispose();
            Assert.Equal(PutStatus.Stored, (await ns.PutAsync(sample.Key, sample.Payload)).Value);
            using BlockLease again = (await ns.LeaseAsync(sample.Id)).Value;
            Assert.True(again.Verify());
        }
    }

    [Fact]
    public async Task Client_ThatIsDisposedWithLeases_LeavesNoneInTheSilo()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local);
        Sample sample = Sample.Make(ns, 1, 100_000);
        Assert.True((await ns.PutAsync(sample.Key, sample.Payload)).IsOk);
        BlockLease lease = (await ns.LeaseAsync(sample.Id)).Value;
        BlockReservation[] reservations = new BlockReservation[1];
        Assert.Equal(1, (await ns.ReserveAsync(new[] { new ReserveBlock(new byte[9], 5000) }, reservations)).Value.Reserved);
        await client.DisposeAsync();
        await WaitUntilAsync(() => silo.Host.Engine.Stats is { LeasedSlots: 0, ReservedSlots: 0 });
        Assert.False(lease.IsValid);
        lease.Dispose();
        reservations[0].Dispose();
    }

    [Fact]
    public async Task ReserveWriteCommit_InPlace_StoresTheBytes()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local);
        await using (client)
        {
            Sample[] samples = [.. Enumerable.Range(0, 4).Select(i => Sample.Make(ns, i, 70_000 * i))];
            Assert.True((await ns.PutAsync(samples[3].Key, samples[3].Payload)).IsOk);
            var reservations = new BlockReservation[4];
            ReserveSummary reserved = (await ns
                .ReserveAsync(samples.Select(s => new ReserveBlock(s.Key, s.Payload.Length)).ToArray(), reservations)).Value;
            Assert.Equal(new ReserveSummary(3, 1, 0, null), reserved);
            Assert.Equal(ReserveStatus.Present, reservations[3].Status);
            for (int i = 0; i < 3; i++) samples[i].Payload.CopyTo(reservations[i].Memory);
            reservations[2].Dispose();
            var statuses = new PutStatus[4];
            PutSummary committed = (await ns.CommitAsync(reservations, statuses)).Value;
            Assert.Equal([PutStatus.Stored, PutStatus.Stored, PutStatus.Refused, PutStatus.Present], statuses);
            Assert.Equal((2, 1, 1, ErrorCode.LeaseExpired),
                (committed.Stored, committed.Present, committed.Refused, committed.Error!.Code));
            Assert.Equal(0, client.ReservationsHeld);
            Assert.Throws<ObjectDisposedException>(() => reservations[1].Memory);
            (BlockResult answer, byte[] bytes) = (await ns.GetArrayAsync(samples[1].Id)).Value;
            Assert.True(answer.IsHit);
            Assert.Equal(samples[1].Payload, bytes);
            Assert.Equal(BlockStatus.Miss, (await ns.GetAsync(new GetBlock(samples[2].Id, new byte[1]))).Value.Status);
            await WaitUntilAsync(() => silo.Host.Engine.Stats.ReservedSlots == 0);
        }
    }

    [Fact]
    public async Task LeaseAsync_WithoutTheLocalPath_IsUnsupported()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Unix);
        await using (client) Assert.Equal(ErrorCode.Unsupported, (await ns.LeaseAsync(new BlockId(1, 2))).Error!.Code);
    }

    [Fact]
    public async Task ConnectAsync_LocalToASiloThatKeepsItsArena_IsUnsupportedAndAutoTakesTheSocket()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync(options => options with { LocalPath = false });
        Assert.Equal(ErrorCode.Unsupported, (await KvTierClient.ConnectAsync(silo.ClientOptions(Way.Local))).Error!.Code);
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local, options => options.Transport = TransportMode.Auto);
        await using (client)
        {
            Assert.False(client.Silo!.IsLocal);
            Sample sample = Sample.Make(ns, 1, 100_000);
            Assert.Equal(PutStatus.Stored, (await ns.PutAsync(sample.Key, sample.Payload)).Value);
        }
    }

    [Fact]
    public async Task Auto_OnAUnixSocket_TakesSharedMemoryForLargeBlocksOnly()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local, options => options.Transport = TransportMode.Auto);
        await using (client)
        {
            Assert.True(client.Silo!.IsLocal);
            Assert.True(client.PrefersLocal(32 << 10, 2));
            Assert.False(client.PrefersLocal((32 << 10) - 1, 2));
            foreach (int size in new[] { 10, 1 << 20 })
            {
                Sample sample = Sample.Make(ns, size, size);
                Assert.Equal(PutStatus.Stored, (await ns.PutAsync(sample.Key, sample.Payload)).Value);
                Assert.Equal(sample.Payload, (await ns.GetArrayAsync(sample.Id)).Value.Bytes);
            }
        }
    }

    internal static async Task WaitUntilAsync(Func<bool> condition)
    {
        using var guard = new CancellationTokenSource(LiveSilo.Patience);
        while (!condition()) await Task.Delay(2, guard.Token);
    }

    /// <summary>The system's clock, some time ahead.</summary>
    private sealed class ShiftedTime : TimeProvider
    {
        public TimeSpan Shift { get; set; }

        public override long GetTimestamp() => System.GetTimestamp() + (long)(Shift.TotalSeconds * System.TimestampFrequency);
    }
}
