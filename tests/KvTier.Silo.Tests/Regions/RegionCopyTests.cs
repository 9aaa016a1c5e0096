using System.Runtime.InteropServices;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Regions;

/// <summary>Rows of an engine's file become blocks, and blocks become rows, without a byte over the socket.</summary>
public sealed class RegionCopyTests : SiloTest
{
    private SiloOptions WithRegions => Small with { Regions = new RegionSettings { Directory = Folder } };

    [Fact]
    public async Task StoreThenLoad_IntoOtherRows_BringsTheSameBytes()
    {
        SiloHost host = await StartAsync(WithRegions);
        RawClient client = ConnectUnix(host);
        using var file = new RegionFile(Folder, "a", 8);
        int region = file.Open(client);
        file.Fill(1, client.Id("x"));
        file.Fill(3, client.Id("y"));

        Assert.Equal([PutItemStatus.Stored, PutItemStatus.Stored], RegionFile.Store(client, region, [("x", 1), ("y", 3)]).Statuses);
        Blocks.AssertRight(Connect(host), "x", file.RowBytes);
        Assert.Equal([PutItemStatus.Present], RegionFile.Store(client, region, [("x", 7)]).Statuses);

        (GetStatus[] statuses, KvError? error) = RegionFile.Load(client, region, [("y", 0), ("missing", 5), ("x", 6)]);
        Assert.Null(error);
        Assert.Equal([GetStatus.HostHit, GetStatus.NeverStored, GetStatus.HostHit], statuses);
        Assert.True(BlockBytes.Verify(client.Id("y"), file.Row(0)));
        Assert.True(BlockBytes.Verify(client.Id("x"), file.Row(6)));
        Assert.All(file.Row(5), b => Assert.Equal(0, b));
        Assert.Equal(0, host.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task Store_WithAckSsd_AndLoadAfterEviction_ReadsTheSsd()
    {
        SiloHost host = await StartAsync(WithRegions with { DataDirectory = System.IO.Path.Combine(Folder, "data"), HostBlocks = 4 });
        RawClient client = ConnectUnix(host);
        using var file = new RegionFile(Folder, "a", 16);
        int region = file.Open(client);
        (string, int)[] rows = [.. Enumerable.Range(0, 16).Select(i => ($"k{i}", i))];
        for (int i = 0; i < 16; i++) file.Fill(i, client.Id($"k{i}"));
        (PutItemStatus[] stored, KvError? error) = RegionFile.Store(client, region, rows, ack: AckLevel.Ssd);
        Assert.Null(error);
        Assert.All(stored, status => Assert.Equal(PutItemStatus.Stored, status));

        (GetStatus[] statuses, _) = RegionFile.Load(client, region, [("k0", 15), ("k1", 14)]);
        Assert.Equal([GetStatus.SsdHit, GetStatus.SsdHit], statuses);
        Assert.True(BlockBytes.Verify(client.Id("k0"), file.Row(15)));
        Assert.True(BlockBytes.Verify(client.Id("k1"), file.Row(14)));
    }

    [Fact]
    public async Task AFileThatShrinksWhileOpen_IsRefused_AndTheSiloGoesOn()
    {
        SiloHost host = await StartAsync(WithRegions);
        RawClient client = ConnectUnix(host);
        using var file = new RegionFile(Folder, "a", 8);
        int region = file.Open(client);
        file.Fill(7, client.Id("x"));
        Assert.Equal([PutItemStatus.Stored], RegionFile.Store(client, region, [("x", 7)]).Statuses);
        file.Stream.SetLength(RegionFile.Stride);

        KvError store = RegionFile.TryStore(client, region, [("y", 7)]).Error;
        KvError load = RegionFile.TryLoad(client, region, [("x", 7)]).Error;
        Assert.Equal(("region.fileBytes", "region.fileBytes"), (store.Field, load.Field));
        Assert.Equal(RegionFile.Stride, new FileInfo(file.Path).Length);
        client.Ask(Opcode.Ping, EmptyBody.Write).Ok();
    }

    [Fact]
    public async Task AFileThatShrinksBetweenCheckAndCopy_FailsTheRowOnly()
    {
        await StartAsync(WithRegions);
        using var file = new RegionFile(Folder, "a", 8);
        var request = new RegionOpenRequest(0, file.Path, "e", 8, RegionFile.Stride, file.RowBytes);
        using Silo.Regions.EngineRegion region = Silo.Regions.EngineRegion.Open(
            request, new RegionSettings { Directory = Folder }, TimeProvider.System).Value;
        file.Stream.SetLength(RegionFile.Stride);
        byte[] bytes = new byte[file.RowBytes];
        Assert.Null(region.Read(0, bytes, RegionFile.In(TimeSpan.FromSeconds(9))));
        Assert.Equal(ErrorCode.IoError, region.Read(7, bytes, RegionFile.In(TimeSpan.FromSeconds(9)))!.Code);
        Assert.Equal(ErrorCode.IoError, region.Write(7, bytes, RegionFile.In(TimeSpan.FromSeconds(9)))!.Code);
        Assert.Equal(RegionFile.Stride, new FileInfo(file.Path).Length);
    }

    [Fact]
    public async Task AFileThatWasReplaced_IsRefused_UntilTheRegionIsOpenedAgain()
    {
        SiloHost host = await StartAsync(WithRegions);
        RawClient client = ConnectUnix(host);
        int region;
        using (var old = new RegionFile(Folder, "a", 4)) region = old.Open(client);
        File.Delete(System.IO.Path.Combine(Folder, "vllm_offload_a.mmap"));
        using var file = new RegionFile(Folder, "a", 4);
        KvError error = RegionFile.TryStore(client, region, [("x", 0)]).Error;
        Assert.Equal((ErrorCode.IoError, "region.path"), (error.Code, error.Field));
        client.Ask(Opcode.RegionClose, new RegionCloseRequest(region).Write).Ok();
        Assert.Equal([PutItemStatus.Stored], RegionFile.Store(client, file.Open(client), [("x", 0)]).Statuses);
    }

    [Fact]
    public async Task ARequestThatCameTooLate_IsRefused_AndNoRowIsTouched()
    {
        SiloHost host = await StartAsync(WithRegions);
        RawClient client = ConnectUnix(host);
        using var file = new RegionFile(Folder, "a", 4);
        int region = file.Open(client);
        Blocks.Put(client, ("x", file.RowBytes));
        long past = RegionFile.In(TimeSpan.FromMilliseconds(-5));
        Assert.Equal(ErrorCode.DeadlineExceeded, RegionFile.TryLoad(client, region, [("x", 0)], past).Error.Code);
        Assert.Equal(ErrorCode.DeadlineExceeded, RegionFile.TryStore(client, region, [("y", 0)], past).Error.Code);
        Assert.Equal(ErrorCode.LimitExceeded,
            RegionFile.TryLoad(client, region, [("x", 0)], RegionFile.In(TimeSpan.FromHours(1))).Error.Code);
        Assert.All(file.Row(0), b => Assert.Equal(0, b));
        Assert.Equal(GetStatus.NeverStored, Blocks.Get(client, "y").Single().Item.Status);
    }

    [Fact]
    public async Task ACopyThatEndsAfterTheDeadline_DoesNotCount()
    {
        await StartAsync(WithRegions);
        using var file = new RegionFile(Folder, "a", 2);
        var request = new RegionOpenRequest(0, file.Path, "e", 2, RegionFile.Stride, file.RowBytes);
        using Silo.Regions.EngineRegion region = Silo.Regions.EngineRegion.Open(
            request, new RegionSettings { Directory = Folder }, TimeProvider.System).Value;
        byte[] bytes = new byte[file.RowBytes];
        Array.Fill(bytes, (byte)7);
        long past = RegionFile.In(TimeSpan.FromMilliseconds(-5));
        Assert.Equal(ErrorCode.DeadlineExceeded, region.Read(0, bytes, past)!.Code);
        Assert.Equal(ErrorCode.DeadlineExceeded, region.Write(0, bytes, past)!.Code);
        Assert.All(file.Row(0), b => Assert.Equal(0, b));
    }

    [Fact]
    public async Task ARowThatTheClientHasLocked_IsNotWritten()
    {
        SiloHost host = await StartAsync(WithRegions);
        RawClient client = ConnectUnix(host);
        using var file = new RegionFile(Folder, "a", 4);
        int region = file.Open(client);
        Blocks.Put(client, ("x", file.RowBytes));
        Assert.Equal(0, Silo.Regions.RegionNative.LockByte(file.Stream.SafeFileHandle, 2L * RegionFile.Stride));
        (GetStatus[] statuses, KvError? error) = RegionFile.Load(client, region, [("x", 2), ("x", 3)]);
        Assert.Equal([GetStatus.Deadline, GetStatus.HostHit], statuses);
        Assert.Equal(ErrorCode.DeadlineExceeded, error!.Code);
        Assert.All(file.Row(2), b => Assert.Equal(0, b));
        Assert.True(BlockBytes.Verify(client.Id("x"), file.Row(3)));
    }

    [Fact]
    public async Task Load_OfACorruptBlock_WritesNothing()
    {
        SiloHost host = await StartAsync(WithRegions);
        RawClient client = ConnectUnix(host);
        using var file = new RegionFile(Folder, "a", 4);
        int region = file.Open(client);
        Blocks.Put(client, ("x", file.RowBytes));
        Assert.Equal(MissReason.None, host.Engine.TryLease(client.Namespace, client.Id("x"), out Engine.BlockLease lease));
        MemoryMarshal.AsMemory<byte>(host.Engine.Arena.Slice(lease.Offset, 1)).Span[0] ^= 1;
        host.Engine.Release(lease);
        Assert.Equal([GetStatus.Corrupt], RegionFile.Load(client, region, [("x", 0)]).Statuses);
        Assert.All(file.Row(0), b => Assert.Equal(0, b));
        Assert.Equal(GetStatus.Corrupt, Blocks.Get(client, "x").Single().Item.Status);
    }
}
