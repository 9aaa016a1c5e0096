using Microsoft.Win32.SafeHandles;

namespace KvTier.Memory;

/// <summary>A silo's arena, mapped by a client on the same machine.</summary>
/// <remarks>Thread-safe except for <see cref="Dispose"/>. It has no finalizer.</remarks>
public sealed class SharedMapping : IDisposable
{
    private readonly NativeRegion region;
    private readonly ChunkMemory[] chunks;

    private SharedMapping(NativeRegion region, SharedArenaInfo info)
    {
        this.region = region;
        Info = info;
        chunks = ChunkMemory.Cut(region);
    }

    /// <summary>What was mapped.</summary>
    public SharedArenaInfo Info { get; }

    /// <summary>Maps an arena and checks that its nonce is the one the silo named.</summary>
    /// <returns>The mapping; <see cref="ErrorCode.InvalidArgument"/> for a size that can't be or a file shorter than it,
    /// <see cref="ErrorCode.Corrupt"/> or <see cref="ErrorCode.VersionMismatch"/> when the file is not that arena, <see
    /// cref="ErrorCode.IoError"/> or <see cref="ErrorCode.Unauthorized"/> when it can't be opened.</returns>
    public static Result<SharedMapping> Open(SharedArenaInfo info)
    {
        ArgumentNullException.ThrowIfNull(info);
        if (info.SizeBytes < ArenaHeader.AreaBytes || info.SizeBytes % ArenaHeader.AreaBytes != 0)
            return KvError.InvalidArgument("arena.sizeBytes", info.SizeBytes, $"a multiple of {ArenaHeader.AreaBytes}");
        try
        {
            using SafeFileHandle file = File.OpenHandle(
                info.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            long length = RandomAccess.GetLength(file);
            // Mapping past the end of a file would turn a read into SIGBUS.
            if (length < info.SizeBytes) return KvError.InvalidArgument("arena.sizeBytes", info.SizeBytes, $"at most the file's {length}");
            return Map(file, info);
        }
        catch (UnauthorizedAccessException)
        {
            return new KvError(ErrorCode.Unauthorized, "arena.path", info.Path, "a file of the same user");
        }
        catch (IOException e)
        {
            return new KvError(ErrorCode.IoError, "arena.path", info.Path, e.Message);
        }
    }

    /// <summary>Bytes of the arena. No allocation.</summary>
    /// <param name="offset">First byte, as the silo named it; ignored when the length is 0.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">They are not inside the arena.</exception>
    /// <exception cref="ObjectDisposedException">The mapping is gone.</exception>
    public Memory<byte> Slice(long offset, int length) => ChunkMemory.Slice(chunks, offset, length);

    /// <summary>Unmaps the arena; slices of it must not be used any more. Calling it again does nothing.</summary>
    public void Dispose()
    {
        foreach (ChunkMemory chunk in chunks) chunk.Revoke();
        region.Dispose();
    }

    private static Result<SharedMapping> Map(SafeFileHandle file, SharedArenaInfo info)
    {
        NativeRegion? memory = NativeRegion.TryMapFile(file, info.SizeBytes);
        if (memory is null) return new KvError(ErrorCode.IoError, "arena.path", info.Path, "a file that can be mapped");
        var mapping = new SharedMapping(memory, info);
        KvError? error = null;
        if (ArenaHeader.Read(mapping.chunks[0].GetSpan()).TryGet(out ArenaHeader header, out KvError? unreadable))
        {
            if (header.Nonce != info.Nonce)
                error = new KvError(ErrorCode.Corrupt, "arena.nonce", $"{header.Nonce:x16}", $"{info.Nonce:x16}");
            else if (header.SizeBytes != info.SizeBytes) error = new KvError(
                ErrorCode.Corrupt, "arena.size", $"{header.SizeBytes}", $"{info.SizeBytes}");
        }
        else
        {
            error = unreadable;
        }

        if (error is null) return mapping;
        mapping.Dispose();
        return error;
    }
}
