using KvTier.Engine;
using KvTier.Memory;
using KvTier.Silo.Engines;
using KvTier.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvTier.Silo.Tests.Engines;

public sealed class UnreadWatchTests : IAsyncDisposable
{
    private static readonly TimeSpan hour = TimeSpan.FromHours(1);
    private readonly ManualTimeProvider time = new();
    private readonly Arena arena = Arena.Create(new ArenaOptions { CapacityBytes = 1 << 20, Shared = false }).Value;
    private readonly BlockEngine engine;
    private readonly UnreadWatch watch;
    private readonly ushort ns;
    private int stored;

    public UnreadWatchTests()
    {
        engine = new BlockEngine(new EngineOptions(), arena, log: null, time);
        ns = engine.OpenNamespace(new NamespaceDescriptor("acme", Profiles.Opaque)).Value;
        watch = new UnreadWatch(engine, hour, time, NullLogger.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        watch.Dispose();
        await engine.DisposeAsync();
        arena.Dispose();
    }

    [Fact]
    public void Step_WrittenForAnHourAndNeverAskedFor_IsReportedOnceWithItsCause()
    {
        Store();
        Pass(TimeSpan.FromMinutes(59));
        Assert.Empty(watch.Unread);
        Pass(TimeSpan.FromMinutes(3));
        (string name, string cause) = Assert.Single(watch.Unread);
        Assert.Equal("acme/opaque", name);
        Assert.Contains("nobody asks", cause, StringComparison.Ordinal);
        Store();
        Pass(2 * hour);
        Assert.Equal(1, watch.Reports);
    }

    [Fact]
    public void Step_AskedForInVain_PointsToTheHashes()
    {
        Store();
        Assert.NotEqual(MissReason.None, engine.TryLease(ns, new BlockId(7, 7), out _));
        Pass(hour + TimeSpan.FromMinutes(2));
        Assert.Contains("PYTHONHASHSEED", Assert.Single(watch.Unread).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void Step_ReadOnce_IsWellUntilItIsWrittenAgainAndNotRead()
    {
        BlockId id = Store();
        Pass(2 * hour);
        Assert.Single(watch.Unread);
        Assert.Equal(MissReason.None, engine.TryLease(ns, id, out BlockLease lease));
        engine.Release(lease);
        Pass(TimeSpan.FromMinutes(2));
        Assert.Empty(watch.Unread);
        Pass(3 * hour);
        Assert.Empty(watch.Unread);
        Store();
        Pass(hour + TimeSpan.FromMinutes(2));
        Assert.Equal(2, watch.Reports);
    }

    [Fact]
    public void Step_NothingWritten_IsWell()
    {
        Pass(5 * hour);
        Assert.Empty(watch.Unread);
        Assert.Equal(0, watch.Reports);
    }

    private BlockId Store()
    {
        byte[] key = [(byte)stored++];
        BlockId id = BlockId.Compute(engine.Namespaces[ns].Id, key);
        Assert.True(engine.TryBeginPut(new PutRequest { Namespace = ns, Id = id, Key = key, Length = 0 }, out _, out Reservation slot));
        Assert.Equal(SealStatus.Stored, engine.Seal(slot, 0, out _));
        return id;
    }

    private void Pass(TimeSpan span) => time.Advance(span);
}
