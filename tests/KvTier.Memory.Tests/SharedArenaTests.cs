namespace KvTier.Memory.Tests;

public sealed class SharedArenaTests : LeakGated
{
    private const string PythonPeer = """
        import mmap, os, struct, sys
        path, size, nonce, offset, length = sys.argv[1], *map(int, sys.argv[2:])
        fd = os.open(path, os.O_RDWR)
        m = mmap.mmap(fd, size)
        assert m[:8] == b"KVTARENA", m[:8]
        version, header, total, seen, pid = struct.unpack_from("<IIqQi", m, 8)
        assert (version, header, total, seen) == (1, 262144, size, nonce), (version, header, total, seen)
        data = m[offset:offset + length]
        m[offset:offset + length] = bytes(b ^ 0xFF for b in data)
        print(data.hex())
        """;

    [Fact]
    public void SharedFile_Python3Maps_ReadsWhatWasWrittenAndTheReverse()
    {
        using Arena arena = MakeShared(4 << 20);
        Assert.True(arena.TryAllocate(5000, out ArenaSlot slot));
        Span<byte> bytes = arena.Slice(slot.Offset, 5000).Span;
        BlockBytes.Fill(new BlockId(7, 9), bytes);
        string before = Convert.ToHexStringLower(bytes);
        SharedArenaInfo info = arena.Shared!;
        string seen = Python.Run(PythonPeer, info.Path, $"{info.SizeBytes}", $"{info.Nonce}", $"{slot.Offset}", "5000");
        Assert.Equal(before, seen.Trim());
        foreach (ref byte value in bytes) value ^= 0xFF;
        Assert.Equal(before, Convert.ToHexStringLower(bytes));
    }

    [Fact]
    public void Open_SameArena_SeesTheSameBytesBothWays()
    {
        using Arena arena = MakeShared(4 << 20);
        Assert.True(arena.TryAllocate(1 << 20, out ArenaSlot slot));
        using SharedMapping mapping = SharedMapping.Open(arena.Shared!).Value;
        var id = new BlockId(1, 2);
        BlockBytes.Fill(id, arena.Slice(slot.Offset, slot.Capacity).Span);
        Assert.True(BlockBytes.Verify(id, mapping.Slice(slot.Offset, slot.Capacity).Span));
        mapping.Slice(slot.Offset + 3, 1).Span[0] ^= 1;
        Assert.Equal(3, BlockBytes.FirstWrong(id, arena.Slice(slot.Offset, slot.Capacity).Span));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.Slice(arena.Shared!.SizeBytes, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.Slice(0, 1));
    }

    [Fact]
    public void Open_NotThatArena_IsRefusedWithTheField()
    {
        using Arena arena = MakeShared(1 << 20);
        SharedArenaInfo info = arena.Shared!;
        AssertRefused(info with { Nonce = info.Nonce + 1 }, ErrorCode.Corrupt, "arena.nonce");
        AssertRefused(info with { SizeBytes = info.SizeBytes + Arena.ExtentBytes }, ErrorCode.InvalidArgument, "arena.sizeBytes");
        AssertRefused(info with { SizeBytes = info.SizeBytes - Arena.ExtentBytes }, ErrorCode.Corrupt, "arena.size");
        AssertRefused(info with { SizeBytes = 0 }, ErrorCode.InvalidArgument, "arena.sizeBytes");
        AssertRefused(info with { SizeBytes = 4097 }, ErrorCode.InvalidArgument, "arena.sizeBytes");
        AssertRefused(info with { Path = info.Path + "-none" }, ErrorCode.IoError, "arena.path");
        using var folder = new TempDirectory();
        File.WriteAllBytes(folder["zeros"], new byte[Arena.ExtentBytes]);
        AssertRefused(new SharedArenaInfo(folder["zeros"], Arena.ExtentBytes, 0), ErrorCode.Corrupt, "arena.magic");
        using (FileStream file = File.OpenWrite(folder["zeros"])) file.Write([.. "KVTARENA"u8, 2, 0, 0, 0]);
        AssertRefused(new SharedArenaInfo(folder["zeros"], Arena.ExtentBytes, 0), ErrorCode.VersionMismatch, "arena.version");
    }

    [Fact]
    public void Create_SharedFile_IsPrivateToTheUserAndGoneAfterDispose()
    {
        string path;
        using (Arena arena = MakeShared(1 << 20))
        {
            path = arena.Shared!.Path;
            UnixFileMode mode = OperatingSystem.IsWindows() ? UnixFileMode.None : File.GetUnixFileMode(path);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, mode);
            Assert.StartsWith($"/dev/shm/kvtier-{Environment.ProcessId}-", path, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(path));
    }

    [Fact]
    public void Create_FolderMissingOrTooSmall_FallsBackAndSaysWhy()
    {
        using Arena missing = Arena.Create(new ArenaOptions { CapacityBytes = 1 << 20, SharedDirectory = "/nowhere" }).Value;
        Assert.Null(missing.Shared);
        Assert.Contains("/nowhere", missing.Fallback, StringComparison.Ordinal);
        Assert.True(missing.TryAllocate(4096, out ArenaSlot slot));
        missing.Slice(slot.Offset, 4096).Span.Fill(1);

        long tooLarge = new DriveInfo("/dev/shm").TotalSize + (1L << 30);
        using Arena large = Arena.Create(new ArenaOptions { CapacityBytes = tooLarge }).Value;
        Assert.Null(large.Shared);
        Assert.Contains("bytes free", large.Fallback, StringComparison.Ordinal);
        Assert.True(large.CapacityBytes >= tooLarge);
    }

    [Fact]
    public void Create_NameTaken_FallsBackAndLeavesTheFileAlone()
    {
        string name = $"kvtier-{Environment.ProcessId}-named";
        using Arena first = Arena.Create(new ArenaOptions { CapacityBytes = 1 << 20, SharedName = name }).Value;
        using Arena second = Arena.Create(new ArenaOptions { CapacityBytes = 1 << 20, SharedName = name }).Value;
        Assert.NotNull(second.Fallback);
        Assert.Equal($"/dev/shm/{name}", first.Shared!.Path);
        using SharedMapping still = SharedMapping.Open(first.Shared!).Value;
    }

    [Fact]
    public void ReapStale_FilesOfTheDeadAndTheLiving_RemovesOnlyThoseOfTheDead()
    {
        using var folder = new TempDirectory();
        using Arena living = Arena.Create(new ArenaOptions { CapacityBytes = 1 << 20, SharedDirectory = folder.FullPath }).Value;
        Assert.Null(living.Fallback);
        // What a killed silo leaves: a whole file that nobody locks. Its process id may even be that of a living process by now.
        File.Copy(living.Shared!.Path, folder[$"kvtier-{Environment.ProcessId}-77"]);
        // No system gives that number to a process.
        File.WriteAllBytes(folder[$"kvtier-{int.MaxValue}-1"], []);
        File.WriteAllBytes(folder[$"kvtier-{Environment.ProcessId}-78"], []);
        File.WriteAllBytes(folder["other-1-1"], []);

        Assert.Equal(2, Arena.ReapStale(folder.FullPath));
        string[] left = [.. Directory.GetFiles(folder.FullPath).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        string[] expected = [Path.GetFileName(living.Shared.Path), $"kvtier-{Environment.ProcessId}-78", "other-1-1"];
        Assert.Equal(expected.Order(StringComparer.Ordinal), left);
        Assert.Equal(0, Arena.ReapStale(folder.FullPath));
        Assert.Equal(0, Arena.ReapStale(folder["missing"]));
        using SharedMapping still = SharedMapping.Open(living.Shared).Value;
    }

    [Fact]
    public void Create_WhileOthersReap_IsNotDisturbed()
    {
        using var folder = new TempDirectory("/dev/shm");
        var options = new ArenaOptions { CapacityBytes = 1 << 20, SharedDirectory = folder.FullPath };
        bool done = false;
        Thread[] reapers = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            while (!Volatile.Read(ref done)) Arena.ReapStale(folder.FullPath);
        }))];
        foreach (Thread reaper in reapers) reaper.Start();
        var fallbacks = new List<string>();
        for (int i = 0; i < 300; i++)
        {
            using Arena arena = Arena.Create(options).Value;
            if (arena.Fallback is { } why) fallbacks.Add(why);
            else if (!File.Exists(arena.Shared!.Path)) fallbacks.Add("reaped");
        }

        Volatile.Write(ref done, true);
        foreach (Thread reaper in reapers) reaper.Join();
        Assert.Empty(fallbacks);
    }

    [Fact]
    public void TryAllocate_FileSystemFull_CutsTheArenaInsteadOfCrashing()
    {
        using Arena arena = MakeShared(64 << 20);
        arena.FailReservationsFrom(8 << 20);
        var slots = new List<ArenaSlot>();
        while (arena.TryAllocate(1 << 20, out ArenaSlot slot))
        {
            arena.Slice(slot.Offset, slot.Capacity).Span.Fill(1);
            slots.Add(slot);
        }

        Assert.Contains("full", arena.Fallback, StringComparison.Ordinal);
        Assert.InRange(arena.CapacityBytes, 4 << 20, 8 << 20);
        Assert.Equal(arena.CapacityBytes, arena.UsedBytes + arena.FreeExtentBytes);
        foreach (ArenaSlot slot in slots) arena.Free(slot);
        Assert.Equal(arena.CapacityBytes, arena.FreeExtentBytes);
        Assert.True(arena.TryAllocate(1 << 20, out _));
    }

    private static void AssertRefused(SharedArenaInfo info, ErrorCode code, string field)
    {
        KvError? error = SharedMapping.Open(info).Error;
        Assert.Equal((code, field), (error?.Code, error?.Field));
    }

    private static Arena MakeShared(long capacityBytes)
    {
        Arena arena = Arena.Create(new ArenaOptions { CapacityBytes = capacityBytes }).Value;
        Assert.Null(arena.Fallback);
        return arena;
    }
}
