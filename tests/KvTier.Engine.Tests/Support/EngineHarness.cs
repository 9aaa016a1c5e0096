using KvTier.Memory;
using KvTier.Testing;

namespace KvTier.Engine.Tests;

/// <summary>An engine with an arena, a manual clock and, if wanted, a log; gone without a trace when disposed.</summary>
internal sealed class EngineHarness : IAsyncDisposable
{
    internal static readonly TimeSpan Guard = TimeSpan.FromSeconds(60);

    internal static readonly NamespaceDescriptor Opaque = new("default", Profiles.Opaque);

    internal EngineHarness(EngineOptions? options = null, IBlockLog? log = null, long arenaBytes = 1 << 20, TimeProvider? time = null,
        NamespaceDescriptor? descriptor = null)
    {
        Descriptor = descriptor ?? Opaque;
        Clock = new ManualTimeProvider();
        Arena = Arena.Create(new ArenaOptions { CapacityBytes = arenaBytes, Shared = false }).Value;
        options ??= new EngineOptions();
        if (options.MissLedgerEntries == new EngineOptions().MissLedgerEntries) options = options with { MissLedgerEntries = 4096 };
        Engine = new BlockEngine(options, Arena, log, time ?? Clock);
        Namespace = Engine.OpenNamespace(Descriptor).Value;
    }

    internal NamespaceDescriptor Descriptor { get; }

    internal ManualTimeProvider Clock { get; }

    internal Arena Arena { get; }

    internal BlockEngine Engine { get; }

    internal ushort Namespace { get; }

    internal static byte[] KeyOf(int number) => System.Text.Encoding.ASCII.GetBytes($"key-{number}");

    internal static BlockId IdOf(int number) => IdOf(number, Opaque);

    internal static BlockId IdOf(int number, NamespaceDescriptor descriptor) => BlockId.Compute(descriptor.Id, KeyOf(number));

    internal static byte[] BytesOf(int number, int length, int version = 0)
    {
        var bytes = new byte[length];
        BlockBytes.Fill(new BlockId((ulong)version, (ulong)number), bytes);
        return bytes;
    }

    internal PutBegin Put(int number, int length = 512, int version = 0, bool overwrite = false, long expiry = 0) =>
        Put(number, out _, length, version, overwrite, expiry);

    internal PutBegin Put(int number, out long ticket, int length = 512, int version = 0, bool overwrite = false, long expiry = 0)
    {
        ticket = 0;
        PutBegin begin = Begin(number, out Reservation reservation, length, overwrite, expiry);
        if (begin != PutBegin.Reserved) return begin;
        Assert.Equal(SealStatus.Stored, Seal(number, reservation, out ticket, version));
        return begin;
    }

    internal PutBegin Begin(
        int number, out Reservation reservation, int length = 512, bool overwrite = false, long expiry = 0, BlockId group = default)
    {
        var request = new PutRequest
        {
            Namespace = Namespace,
            Id = IdOf(number, Descriptor),
            Key = KeyOf(number),
            Group = group,
            Length = length,
            Overwrite = overwrite,
            ExpiryUnixMs = expiry,
        };
        Engine.TryBeginPut(request, out PutBegin begin, out reservation);
        return begin;
    }

    internal void PutInGroup(int number, BlockId group, int length = 512, bool overwrite = false)
    {
        Assert.Equal(PutBegin.Reserved, Begin(number, out Reservation reservation, length, overwrite, group: group));
        Assert.Equal(SealStatus.Stored, Seal(number, reservation, out _));
    }

    internal SealStatus Seal(int number, Reservation reservation, out long ticket, int version = 0)
    {
        byte[] bytes = BytesOf(number, reservation.Length, version);
        if (reservation.Length > 0) bytes.CopyTo(Arena.Slice(reservation.Offset, reservation.Length));
        return Engine.Seal(reservation, Crc32C.Compute(bytes), out ticket);
    }

    internal MissReason Get(int number, int version = 0)
    {
        MissReason reason = Engine.TryLease(Namespace, IdOf(number, Descriptor), out BlockLease lease);
        if (reason == MissReason.None) Verify(number, lease, version);
        return reason;
    }

    internal async Task<LeaseResult> GetAsync(int number, int version = 0)
    {
        LeaseResult result = await Engine.LeaseAsync(Namespace, IdOf(number, Descriptor), Guard);
        if (result.Reason == MissReason.None) Verify(number, result.Lease, version);
        return result;
    }

    /// <summary>Compares the bytes under a lease and gives it back.</summary>
    internal void Verify(int number, in BlockLease lease, int version = 0, bool release = true)
    {
        byte[] expected = BytesOf(number, lease.Length, version);
        if (lease.Length > 0) Assert.Equal(expected, Arena.Slice(lease.Offset, lease.Length).ToArray());
        Assert.Equal(Crc32C.Compute(expected), lease.PayloadCrc);
        if (release) Engine.Release(lease);
    }

    internal BlockInfo Describe(int number) => Engine.Describe(Namespace, IdOf(number, Descriptor));

    /// <summary>Steps the writer until nothing is left to write.</summary>
    internal async Task FlushAsync()
    {
        for (int steps = 0; await Engine.Writer!.StepAsync(); steps++) Assert.True(steps < 100_000, "write-behind does not come to rest");
    }

    private bool disposed;

    /// <summary>Frees what an abandoned engine left, once its reads have ended.</summary>
    internal async Task FreeAbandonedAsync()
    {
        disposed = true;
        while (Engine.ReadsUnderWay > 0) await Task.Yield();
        lock (Engine.State.Gate) Engine.State.Free();
        Assert.Equal(0, Arena.UsedBytes);
        Arena.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        if (disposed) return;
        disposed = true;
        await Engine.DisposeAsync();
        Assert.Equal(0, Arena.UsedBytes);
        Arena.Dispose();
        LeakGate.AssertClean(("index bytes", Engine.State.NativeBytes));
    }
}
