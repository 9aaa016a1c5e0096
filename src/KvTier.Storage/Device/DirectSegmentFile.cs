using System.Runtime.InteropServices;

namespace KvTier.Storage.Device;

/// <summary>A segment on a file system, past the page cache where that is allowed.</summary>
internal sealed unsafe class DirectSegmentFile : ISegmentFile
{
    private const int ZeroChunkBytes = 1 << 20;
    private readonly int descriptor;
    private readonly string path;
    private int closed;
    private bool nameIsDurable;

    private DirectSegmentFile(string path, int descriptor, bool direct)
    {
        this.path = path;
        IsDirect = direct;
        this.descriptor = descriptor;
    }

    /// <summary>True when the page cache is passed by.</summary>
    public bool IsDirect { get; }

    public long SizeBytes => new FileInfo(path) is { Exists: true } info ? info.Length : 0;

    public static int Open(string path, bool create, bool direct, out DirectSegmentFile? file)
    {
        int error = Native.Open(path, create, direct, out int descriptor);
        if (error == Native.Einval && direct)
        {
            direct = false;
            error = Native.Open(path, create, direct, out descriptor);
        }

        file = error == 0 ? new DirectSegmentFile(path, descriptor, direct) : null;
        return error;
    }

    public int Write(nint source, int length, long offset)
    {
        while (length > 0)
        {
            int error = Native.Write(descriptor, source, length, offset, out long written);
            if (error == Native.Eintr) continue;
            if (error != 0) return error;
            if (written == 0) return Native.Eio;
            source += (nint)written;
            offset += written;
            length -= (int)written;
        }

        return 0;
    }

    public int Read(Span<IoVector> vectors, long offset, out long read)
    {
        read = 0;
        while (vectors.Length > 0)
        {
            int error;
            long count;
            fixed (IoVector* first = vectors) error = Native.Read(descriptor, first, vectors.Length, offset + read, out count);
            if (error == Native.Eintr) continue;
            if (error != 0) return error;
            if (count == 0) break;
            read += count;
            vectors = Advance(vectors, count);
        }

        return 0;
    }

    /// <summary>
    /// The first sync makes the file's name durable too: an append need not wait for that, and who made the file may have been killed
    /// before it was.
    /// </summary>
    public int Sync()
    {
        int error = Native.Sync(descriptor);
        if (error != 0 || Volatile.Read(ref nameIsDurable)) return error;
        error = Native.SyncDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        if (error == 0) Volatile.Write(ref nameIsDurable, true);
        return error;
    }

    public int Preallocate(long bytes)
    {
        int error;
        do error = Native.Allocate(descriptor, 0, bytes);
        while (error == Native.Eintr);
        return error == Native.Eopnotsupp ? WriteZeros(SizeBytes, bytes - SizeBytes) : error;
    }

    public int Zero(long offset, long length)
    {
        int error;
        do error = Native.ZeroRange(descriptor, offset, length);
        while (error == Native.Eintr);

        // A full disk may have no room to note the range apart, but it has the range.
        return error is Native.Eopnotsupp or Native.Einval or Native.Enospc or Native.Edquot ? WriteZeros(offset, length) : error;
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref closed, 1) == 0) Native.Close(descriptor);
    }

    private static Span<IoVector> Advance(Span<IoVector> vectors, long count)
    {
        while (vectors.Length > 0 && count >= vectors[0].Length)
        {
            count -= vectors[0].Length;
            vectors = vectors[1..];
        }

        if (vectors.Length > 0)
        {
            vectors[0].Address += (nint)count;
            vectors[0].Length -= (nint)count;
        }

        return vectors;
    }

    private int WriteZeros(long offset, long length)
    {
        void* zeros = NativeMemory.AlignedAlloc(ZeroChunkBytes, 4096);
        NativeMemory.Clear(zeros, ZeroChunkBytes);
        int error = 0;
        for (; length > 0 && error == 0; offset += ZeroChunkBytes, length -= ZeroChunkBytes)
        {
            error = Write((nint)zeros, (int)Math.Min(length, ZeroChunkBytes), offset);
        }

        NativeMemory.AlignedFree(zeros);
        return error;
    }
}
