using System.Text;
using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Memory;
using KvTier.Silo.Clustering;
using KvTier.Storage;
using KvTier.Testing;

namespace KvTier.Silo.Tests;

/// <summary>The engine behind the cluster's seam, with a real log.</summary>
public sealed class EngineBlockStoreTests : IAsyncLifetime
{
    private static readonly NamespaceDescriptor Opaque = new("default", Profiles.Opaque);
    private static readonly TimeSpan Guard = TimeSpan.FromSeconds(60);

    private readonly TempDirectory folder = new();
    private readonly Arena arena = Arena.Create(new ArenaOptions { CapacityBytes = 1 << 20, Shared = false }).Value;
    private BlockLog log = null!;
    private BlockEngine engine = null!;
    private EngineBlockStore store = null!;
    private ushort ns;

    [Fact]
    public async Task PutThenRead_InMemoryAndOnSsd_GivesAllOfABlock()
    {
        StoredBlock[] blocks = [.. Enumerable.Range(0, 8).Select(i => Block(i, 100_000 * (i % 3)) with { Group = Block(0, 0).Id })];
        foreach (StoredBlock block in blocks) Assert.True((await store.PutAsync(ns, block, Guard)).Value);
        Assert.Null(await engine.WaitDurableAsync(engine.CurrentTicket, Guard));
        for (int i = 0; i < 4; i++) engine.Demote(ns, blocks[i].Id);
        BlockId[] ids = [.. blocks.Select(block => block.Id), Block(99, 0).Id];
        Assert.All(ids.SkipLast(1), id => Assert.True(store.Has(ns, id)));
        Assert.False(store.Has(ns, ids[^1]));
        int found = 0;
        for (int at = 0; at < ids.Length;)
        {
            // A read ends where host memory would be too full of what is read; its caller goes on from there.
            using StoredBlocks read = await store.ReadAsync(ns, ids.AsMemory(at), Guard);
            int examined = read.Examined(ids.Length - at);
            foreach (StoredBlock actual in read.Blocks) AssertSame(blocks[found++], actual);
            if (read.Blocks.Any(block => block.Payload.Length > 0)) Assert.NotEqual(0, engine.Stats.LeasedSlots);
            Assert.InRange(read.Blocks.Count, 0, examined);
            at += examined;
        }

        Assert.Equal(blocks.Length, found);
        Assert.Equal(0, engine.Stats.LeasedSlots);
        Assert.Equal((0, 0), (engine.Stats.SsdHits, engine.Stats.HostHits));
        Assert.All(engine.Stats.Misses, count => Assert.Equal(0, count));
    }

    [Fact]
    public async Task PutAsync_BlockThatIsHere_IsNotStoredAgain()
    {
        Assert.True((await store.PutAsync(ns, Block(1, 10), Guard)).Value);
        Assert.False((await store.PutAsync(ns, Block(1, 10), Guard)).Value);
    }

    [Theory]
    [InlineData("crc", ErrorCode.Corrupt, "block.check")]
    [InlineData("bytes", ErrorCode.Corrupt, "block.check")]
    [InlineData("id", ErrorCode.Corrupt, "block.id")]
    [InlineData("key", ErrorCode.Corrupt, "block.id")]
    [InlineData("longKey", ErrorCode.LimitExceeded, "block.key")]
    [InlineData("long", ErrorCode.LimitExceeded, "block.length")]
    [InlineData("namespace", ErrorCode.NamespaceUnknown, "namespace")]
    [InlineData("profile", ErrorCode.InvalidArgument, "block.length")]
    public async Task PutAsync_BlockThatIsNotWhatItSays_IsRefusedAndLeavesNothing(string what, ErrorCode code, string field)
    {
        StoredBlock good = Block(1, 1000);
        byte[] bytes = good.Payload.ToArray();
        bytes[500] ^= 1;
        StoredBlock bad = what switch
        {
            "crc" => good with { PayloadCrc = good.PayloadCrc ^ 1 },
            "bytes" => good with { Payload = bytes },
            "id" => good with { Id = Block(2, 0).Id },
            "key" => good with { Key = Block(2, 0).Key },
            "longKey" => good with { Key = new byte[600] },
            "long" => good with { Payload = new byte[(256 << 10) + 1] },
            _ => good,
        };
        ushort to = ns;
        if (what == "namespace") to = 77;
        if (what == "profile")
        {
            var descriptor = new NamespaceDescriptor("default", Profiles.Qwen3_8B);
            to = store.OpenNamespace(descriptor).Value;
            bad = good with { Id = BlockId.Compute(descriptor.Id, good.Key.Span), Codec = 0 };
        }

        KvError error = (await store.PutAsync(to, bad, Guard)).Error!;
        Assert.Equal((code, field), (error.Code, error.Field));
        Assert.Equal((0, 0), (engine.Stats.HostBlocks, engine.Stats.ReservedSlots));
        Assert.Equal(0, arena.UsedBytes);
    }

    [Fact]
    public async Task PutAsync_NoRoom_EndsByItsDeadlineOrWhenThereIsRoom()
    {
        var leases = new List<BlockLease>();
        for (int i = 0; i < 64; i++)
        {
            if (!(await store.PutAsync(ns, Block(i, 200_000), TimeSpan.FromMilliseconds(1))).IsOk) break;
            leases.Add((await engine.LeaseAsync(ns, Block(i, 0).Id, Guard)).Lease);
        }

        Assert.InRange(leases.Count, 1, 10);
        KvError error = (await store.PutAsync(ns, Block(100, 200_000), TimeSpan.FromMilliseconds(10))).Error!;
        Assert.Equal((ErrorCode.HostFull, "block.length"), (error.Code, error.Field));
        ValueTask<Result<bool>> put = store.PutAsync(ns, Block(100, 200_000), Guard);
        foreach (BlockLease lease in leases) engine.Release(lease);
        Assert.True((await put).Value);
    }

    [Fact]
    public async Task PutAsync_EngineDrains_SaysSo()
    {
        await engine.DrainAsync(Guard);
        Assert.Equal(ErrorCode.ShuttingDown, (await store.PutAsync(ns, Block(1, 10), Guard)).Error!.Code);
    }

    [Fact]
    public async Task DropAndWalk_SomeBlocks_TheRestIsWalkedOnce()
    {
        for (int i = 0; i < 1500; i++) await store.PutAsync(ns, Block(i, 16) with { Group = Block(i / 10, 0).Id }, Guard);
        for (int i = 0; i < 1500; i += 3) store.Drop(ns, Block(i, 0).Id, MissReason.Moved);
        Assert.Equal(MissReason.Moved, engine.Describe(ns, Block(0, 0).Id).Reason);
        var walked = new Dictionary<BlockId, WalkedBlock>();
        var found = new WalkedBlock[600];
        long cursor = 0;
        do
        {
            cursor = store.Walk(cursor, found, out int count);
            foreach (WalkedBlock block in found.AsSpan(0, count)) walked.Add(block.Id, block);
        }
        while (cursor != 0);

        Assert.Equal(1000, walked.Count);
        for (int i = 0; i < 1500; i++)
        {
            Assert.Equal(i % 3 != 0, walked.TryGetValue(Block(i, 0).Id, out WalkedBlock block));
            if (i % 3 != 0) Assert.Equal((ns, Block(i / 10, 0).Id, 16), (block.Namespace, block.Group, block.Length));
        }
    }

    /// <inheritdoc/>
    public ValueTask InitializeAsync()
    {
        log = BlockLog.Open(new LogOptions
        {
            Directory = folder["log"],
            CapBytes = 16 << 20,
            BlockBytesMax = 256 << 10,
            PageBytes = 64 << 10,
            BufferBytes = 256 << 10,
        }, TimeProvider.System).Value;
        Limits limits = Limits.Default with { BlockBytesMax = 256 << 10 };
        engine = new BlockEngine(new EngineOptions { Limits = limits, MissLedgerEntries = 4096 }, arena, log, TimeProvider.System);
        engine.Recover([]);
        store = new EngineBlockStore(engine, engine.OpenNamespace, limits, TimeProvider.System);
        ns = store.OpenNamespace(Opaque).Value;
        engine.Start();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await engine.DisposeAsync();
        await log.DisposeAsync();
        arena.Dispose();
        folder.Dispose();
        LeakGate.AssertClean();
    }

    private static StoredBlock Block(int number, int length)
    {
        byte[] key = Encoding.ASCII.GetBytes($"block-{number}");
        BlockId id = BlockId.Compute(Opaque.Id, key);
        var payload = new byte[length];
        BlockBytes.Fill(id, payload);
        return new StoredBlock(id, id, key, (byte)(number % 2 * 3), Crc32C.Compute(payload), 4_000_000_000_000 + number, payload);
    }

    private static void AssertSame(StoredBlock expected, StoredBlock actual)
    {
        Assert.Equal((expected.Id, expected.Group, expected.Codec), (actual.Id, actual.Group, actual.Codec));
        Assert.Equal((expected.PayloadCrc, expected.ExpiryUnixMs), (actual.PayloadCrc, actual.ExpiryUnixMs));
        Assert.Equal(expected.Key.ToArray(), actual.Key.ToArray());
        Assert.Equal(expected.Payload.ToArray(), actual.Payload.ToArray());
    }
}
