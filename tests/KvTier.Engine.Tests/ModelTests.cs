using KvTier.Testing;

namespace KvTier.Engine.Tests;

/// <summary>Random operations against a dictionary that knows what each block's bytes must be.</summary>
public sealed class ModelTests
{
    [Theory]
    [InlineData(1, false, "lru")]
    [InlineData(2, false, "s3fifo")]
    [InlineData(3, true, "lru")]
    [InlineData(4, true, "s3fifo")]
    [InlineData(5, true, "lru")]
    [InlineData(6, false, "lru")]
    [InlineData(7, true, "s3fifo")]
    public async Task Engine_RandomOperations_NeverGivesWrongBytesAndConservesSlots(int seed, bool withLog, string policy)
    {
        var log = new FakeLog(32 << 10, 8 * (32 << 10));
        var random = new Random(seed);
        var options = new EngineOptions { HostBlocksMax = 40, Policy = policy };
        await using var harness = new EngineHarness(options, withLog ? log : null, arenaBytes: 8 << 20);
        var model = new Model(harness, random, log);
        for (int step = 0; step < 6000; step++)
        {
            await model.StepAsync();
            if (step % 50 == 0) Conservation.Check(harness.Engine);
        }

        Assert.True(model.RangeHits > 100, $"only {model.RangeHits} reads of ranges");
        model.ReleaseAll();
        model.CheckWalk();
        Conservation.Check(harness.Engine);
        Assert.Equal(0, harness.Engine.Stats.LeasedSlots);
        Assert.True(model.Hits > 500, $"only {model.Hits} hits: the test would prove little");
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    public async Task Engine_CrashesAtRandom_AcknowledgedBlocksComeBack(int seed)
    {
        var random = new Random(seed);
        var log = new FakeLog(1 << 20);
        var durable = new Dictionary<int, int>();
        BlockId GroupOf(int number) => number % 4 == 0 ? EngineHarness.IdOf(number) : EngineHarness.IdOf(number / 8 * 8);
        int version = 0;
        for (int round = 0; round < 12; round++)
        {
            await using var harness = new EngineHarness(log: log);
            harness.Engine.Recover([EngineHarness.Opaque]);
            Assert.Equal(durable.Count, harness.Engine.Count(harness.Namespace));
            foreach ((int number, int expected) in durable)
            {
                Assert.Equal(MissReason.None, (await harness.GetAsync(number, expected)).Reason);
                Assert.Equal(GroupOf(number), harness.Describe(number).Group);
            }

            Conservation.Check(harness.Engine);
            var pending = new Dictionary<int, int>(durable);
            for (int step = 0; step < 200; step++)
            {
                int number = random.Next(60);
                if (random.Next(4) == 0)
                {
                    if (harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(number))) pending.Remove(number);
                }
                else
                {
                    harness.Begin(number, out Reservation reservation, random.Next(2000), overwrite: true, group: GroupOf(number));
                    harness.Seal(number, reservation, out _, ++version);
                    pending[number] = version;
                }

                if (random.Next(20) != 0) continue;
                await harness.FlushAsync();
                durable = new Dictionary<int, int>(pending);
            }

            log.Crash();
        }
    }

    private sealed class Model(EngineHarness harness, Random random, FakeLog log)
    {
        private readonly Dictionary<int, (int Version, long Expiry)> blocks = [];
        private readonly Dictionary<int, BlockId> groups = [];
        private readonly List<(int Number, int Version, BlockLease Lease)> leases = [];
        private readonly List<BlockLease> scratch = [];
        private readonly HashSet<BlockId> onDevice = [];
        private int versions;

        internal int Hits { get; private set; }

        internal int RangeHits { get; private set; }

        internal async Task StepAsync()
        {
            int number = random.Next(70);
            BlockId id = EngineHarness.IdOf(number);
            switch (random.Next(20))
            {
                case 14 or 15:
                    await ReadRangesAsync(number, id);
                    break;
                case 16:
                    TakeScratch();
                    break;
                case 17:
                    harness.Engine.Demote(harness.Namespace, id);
                    break;
                case 18:
                    if (random.Next(2) == 0) harness.Engine.Cool(harness.Namespace, [id, EngineHarness.IdOf(random.Next(70))]);
                    else harness.Engine.Warm(harness.Namespace, [id]);
                    break;
                case 19:
                    MarkOnDevice(id);
                    break;
                case <= 3:
                    Put(number);
                    break;
                case <= 7:
                    await GetAsync(number, id);
                    break;
                case 8:
                    bool deleted = harness.Engine.Delete(harness.Namespace, id);
                    Assert.True(!deleted || blocks.ContainsKey(number));
                    blocks.Remove(number);
                    break;
                case 9:
                    harness.Engine.Pin(harness.Namespace, id, Now + random.Next(50));
                    break;
                case 10:
                    if (harness.Engine.SetExpiry(harness.Namespace, id, Now + 400)) blocks[number] = (blocks[number].Version, Now + 400);
                    break;
                case 11:
                    Release();
                    break;
                case 12:
                    harness.Clock.Advance(TimeSpan.FromMilliseconds(random.Next(10)));
                    harness.Engine.Sweeper.Step();
                    log.RefuseAppends = random.Next(10) == 0 ? LogAppendStatus.DiskFull : null;
                    break;
                default:
                    if (harness.Engine.Writer is { } writer) await writer.StepAsync();
                    break;
            }
        }

        internal void ReleaseAll()
        {
            while (leases.Count > 0) Release();
            while (scratch.Count > 0) TakeScratchAway();
        }

        internal void CheckWalk()
        {
            var walked = new HashSet<BlockId>();
            var found = new EngineBlock[7];
            long bytes = 0;
            long cursor = 0;
            do
            {
                cursor = harness.Engine.Walk(cursor, found, out int count);
                foreach (EngineBlock block in found.AsSpan(0, count))
                {
                    int number = Enumerable.Range(0, 70).First(each => EngineHarness.IdOf(each) == block.Id);
                    Assert.True(walked.Add(block.Id), "a block was walked twice");
                    Assert.Equal(groups[number], block.Group);
                    Assert.Equal(harness.Describe(number).Length, block.Length);
                    bytes += block.Length;
                }
            }
            while (cursor != 0);

            Assert.Equal(harness.Engine.Count(harness.Namespace), walked.Count);
            Assert.Equal(harness.Engine.UsedBytes, bytes);
        }

        private long Now => harness.Clock.GetUtcNow().ToUnixTimeMilliseconds();

        private void Put(int number)
        {
            bool overwrite = random.Next(3) == 0;
            long expiry = random.Next(5) == 0 ? Now + random.Next(1, 1000) : 0;
            int length = random.Next(10) == 0 ? 0 : random.Next(1, 3000);
            BlockId group = random.Next(3) == 0 ? default : EngineHarness.IdOf(random.Next(10));
            PutBegin begin = harness.Begin(number, out Reservation reservation, length, overwrite, expiry, group);
            if (begin == PutBegin.Present) Assert.True(blocks.ContainsKey(number));
            if (begin != PutBegin.Reserved) return;
            if (random.Next(10) == 0)
            {
                harness.Engine.Abort(reservation);
                return;
            }

            Assert.Equal(SealStatus.Stored, harness.Seal(number, reservation, out _, ++versions));
            blocks[number] = (versions, expiry);
            groups[number] = group == default ? EngineHarness.IdOf(number) : group;
        }

        private async Task GetAsync(int number, BlockId id)
        {
            ValueTask<LeaseResult> get = harness.Engine.LeaseAsync(harness.Namespace, id, TimeSpan.FromMilliseconds(5));
            if (!get.IsCompleted) harness.Clock.Advance(TimeSpan.FromMilliseconds(5));
            LeaseResult result = await get;
            if (result.Reason != MissReason.None)
            {
                Assert.NotEqual(MissReason.Corrupt, result.Reason);
                return;
            }

            (int version, long expiry) = blocks[number];
            Assert.True(expiry == 0 || expiry > Now, "an expired block was served");
            Hits++;
            harness.Verify(number, result.Lease, version, release: false);
            leases.Add((number, version, result.Lease));
            while (leases.Count > 8) Release();
        }

        private async Task ReadRangesAsync(int number, BlockId id)
        {
            var ranges = new BlockRange[random.Next(4)];
            for (int i = 0; i < ranges.Length; i++) ranges[i] = new BlockRange(random.Next(1500), random.Next(1500));
            var destination = new byte[6000];
            ValueTask<RangeReadResult> read = harness.Engine.ReadRangesAsync(
                harness.Namespace, id, ranges, destination, TimeSpan.FromMilliseconds(5));
            Assert.True(read.IsCompleted, "this log answers at once");
            RangeReadResult result = await read;
            Assert.NotEqual(MissReason.Corrupt, result.Reason);
            if (!result.IsOk) return;
            (int version, long expiry) = blocks[number];
            Assert.True(expiry == 0 || expiry > Now, "ranges of an expired block were served");
            byte[] payload = EngineHarness.BytesOf(number, 3000, version);
            byte[] expected = [.. ranges.SelectMany(range => payload.AsSpan(range.Offset, range.Length).ToArray())];
            Assert.Equal(expected, destination[..expected.Length]);
            RangeHits++;
        }

        private void TakeScratch()
        {
            if (scratch.Count < 4 && harness.Engine.TryTakeScratch(random.Next(1, 9000), out BlockLease taken))
            {
                harness.Arena.Slice(taken.Offset, taken.Length).Span.Fill((byte)taken.Slot);
                scratch.Add(taken);
                return;
            }

            if (scratch.Count == 0) return;
            BlockLease lease = scratch[random.Next(scratch.Count)];
            ReadOnlySpan<byte> bytes = harness.Arena.Slice(lease.Offset, lease.Length).Span;
            Assert.False(bytes.ContainsAnyExcept((byte)lease.Slot), "scratch was overwritten");
            harness.Engine.Release(lease);
            scratch.Remove(lease);
        }

        private void TakeScratchAway()
        {
            harness.Engine.Release(scratch[^1]);
            scratch.RemoveAt(scratch.Count - 1);
        }

        private void MarkOnDevice(BlockId id)
        {
            harness.Engine.OnDeviceBlockGone ??= (_, gone) => Assert.True(onDevice.Remove(gone), "told of a block that was not marked");
            if (harness.Engine.SetOnDevice(harness.Namespace, id, true)) onDevice.Add(id);
            Assert.Equal(onDevice.Count, harness.Engine.Stats.DeviceBlocks);
        }

        private void Release()
        {
            if (leases.Count == 0) return;
            int index = random.Next(leases.Count);
            (int number, int version, BlockLease lease) = leases[index];
            leases.RemoveAt(index);
            harness.Verify(number, lease, version);
        }
    }
}
