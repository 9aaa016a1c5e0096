namespace KvTier.Memory;

/// <summary>
/// A tier's own memory, outside the GC heap: slots of several size classes cut from extents, which go back to the common pool when empty.
/// </summary>
/// <remarks>
/// Not thread-safe except for <see cref="Slice"/>: the engine calls it under its own lock. It has no finalizer; a process that is killed
/// leaves its shared file behind for <see cref="ReapStale"/>.
/// </remarks>
public sealed class Arena : IDisposable
{
    /// <summary>Largest slot in bytes: 64 MiB.</summary>
    public const int SlotBytesMax = ExtentPool.RunMax * ExtentPool.ExtentBytes;

    /// <summary>Bytes of an extent, the unit that size classes share: 256 KiB.</summary>
    public const int ExtentBytes = ExtentPool.ExtentBytes;

    private readonly NativeRegion region;
    private readonly ArenaFile? file;
    private readonly ChunkMemory[] chunks;
    private readonly SlotAllocator slots;
    private long reservedExtents;
    private bool disposed;

    private Arena(NativeRegion region, ArenaFile? file, string? fallback)
    {
        this.region = region;
        this.file = file;
        Fallback = fallback;
        chunks = ChunkMemory.Cut(region);
        int extents = (int)(region.Bytes >> ExtentPool.ExtentShift);
        CapacityBytes = region.Bytes - ArenaHeader.AreaBytes;
        slots = new SlotAllocator(extents);
        reservedExtents = file is null ? extents : 1;
    }

    /// <summary>
    /// Bytes that slots can be cut from. Shrinks to what is in use when the shared memory's file system turns out to be full.
    /// </summary>
    public long CapacityBytes { get; private set; }

    /// <summary>Bytes in allocated slots, counted by slot capacity.</summary>
    public long UsedBytes => slots.UsedBytes;

    /// <summary>Bytes in extents of which nothing is allocated.</summary>
    public long FreeExtentBytes => (long)slots.FreeExtents << ExtentPool.ExtentShift;

    /// <summary>What a local client needs to map the arena; null when it is in anonymous memory.</summary>
    public SharedArenaInfo? Shared => file?.Info;

    /// <summary>Why the arena is not in shared memory, or is smaller there, though it was asked to be; null when all is well.</summary>
    public string? Fallback { get; private set; }

    /// <summary>Makes an arena.</summary>
    /// <returns>The arena; <see cref="ErrorCode.InvalidArgument"/> for options that can't be, <see cref="ErrorCode.HostFull"/> when the
    /// system has no memory to map.</returns>
    public static Result<Arena> Create(ArenaOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { } invalid) return invalid;
        long extents = (options.CapacityBytes + ExtentPool.ExtentBytes - 1) >> ExtentPool.ExtentShift;
        long sizeBytes = (extents << ExtentPool.ExtentShift) + ArenaHeader.AreaBytes;
        string? fallback = null;
        if (options.Shared)
        {
            Result<Arena> shared = CreateShared(options, sizeBytes);
            if (shared.IsOk) return shared;
            fallback = shared.Error!.Message;
        }

        NativeRegion? memory = NativeRegion.TryMapAnonymous(sizeBytes, hugePages: true);
        if (memory is null) return new KvError(ErrorCode.HostFull, "arena.capacityBytes", $"{sizeBytes}", "what the system can map");
        if (options.Prefault) memory.Populate();
        return new Arena(memory, file: null, fallback);
    }

    /// <summary>Removes the shared files in a folder that a killed process left behind. Files of living processes, of other users, and
    /// those not named <c>kvtier-…</c> are left alone.</summary>
    /// <param name="directory">The folder, such as <c>/dev/shm</c>; it need not exist.</param>
    /// <returns>How many were removed.</returns>
    public static int ReapStale(string directory) => ArenaFile.ReapStale(directory);

    /// <summary>Finds room.</summary>
    /// <param name="lengthBytes">Bytes needed, 1 to 64 MiB.</param>
    /// <param name="slot">The slot; its capacity is at least the length rounded up to 512.</param>
    /// <returns>False when no extent has room: free something and try again.</returns>
    public bool TryAllocate(int lengthBytes, out ArenaSlot slot)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, SlotBytesMax);
        if (!slots.TryAllocate(lengthBytes, out slot, out int endExtent)) return false;
        if (endExtent <= reservedExtents) return true;
        return TryReserve(lengthBytes, endExtent, ref slot);
    }

    /// <summary>Gives a slot back. <see cref="ArenaSlot.None"/> is allowed and does nothing.</summary>
    /// <param name="slot">From <see cref="TryAllocate"/>, unchanged.</param>
    /// <exception cref="ArgumentException">It is not allocated now: freed twice, or never of this arena.</exception>
    public void Free(ArenaSlot slot)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (!slot.IsNone) slots.Free(slot);
    }

    /// <summary>The bytes from an offset on, inside one slot. No allocation; callable from any thread.</summary>
    /// <param name="offset">First byte, as in <see cref="ArenaSlot.Offset"/>; ignored when the length is 0.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">They are not inside the arena.</exception>
    /// <exception cref="ObjectDisposedException">The arena is gone.</exception>
    public Memory<byte> Slice(long offset, int length) => ChunkMemory.Slice(chunks, offset, length);

    /// <summary>
    /// Unmaps the memory and removes the shared file. Nobody may use slices of it any more. Calling it again does nothing.
    /// </summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        foreach (ChunkMemory chunk in chunks) chunk.Revoke();
        file?.Dispose();
        region.Dispose();
        slots.Dispose();
    }

    /// <summary>Makes the file system of a shared arena look full from an offset on.</summary>
    internal void FailReservationsFrom(long offset) => file!.ReservableBytes = offset;

    private static Result<Arena> CreateShared(ArenaOptions options, long sizeBytes)
    {
        if (!ArenaFile.Create(options, sizeBytes).TryGet(out ArenaFile? made, out KvError? error)) return error;
        NativeRegion? memory = NativeRegion.TryMapFile(made.Handle, sizeBytes);
        if (memory is null)
        {
            made.Dispose();
            return new KvError(ErrorCode.IoError, "arena.shared", made.Info.Path, "a file system that can be mapped");
        }

        if (options.Prefault) memory.Populate();
        var arena = new Arena(memory, made, fallback: null);
        var header = new ArenaHeader(sizeBytes, made.Info.Nonce, Environment.ProcessId);
        header.Write(arena.chunks[0].GetSpan());
        return arena;
    }

    /// <summary>
    /// Takes room in the file system for extents that are used for the first time; gives them up for good when there is none.
    /// </summary>
    private bool TryReserve(int lengthBytes, int endExtent, ref ArenaSlot slot)
    {
        if (file!.TryReserve((long)endExtent << ExtentPool.ExtentShift))
        {
            reservedExtents = endExtent;
            return true;
        }

        slots.Free(slot);
        slot = default;
        long lost = (long)slots.Retire((int)reservedExtents) << ExtentPool.ExtentShift;
        CapacityBytes -= lost;
        Fallback = $"{file.Info.Path}: its file system is full; the arena was cut by {lost} to {CapacityBytes} bytes";
        // Every extent that is left is reserved, so that this ends here.
        return slots.TryAllocate(lengthBytes, out slot, out _);
    }
}
