using System.Globalization;
using KvTier.Protocol;
using Microsoft.Win32.SafeHandles;

namespace KvTier.Silo.Regions;

/// <summary>
/// An engine's file of KV rows, open for copying. It is never mapped: a file that shrinks would answer an access to its mapping with
/// SIGBUS, while a read of its descriptor ends short. Thread-safe; once disposed, every row fails.
/// </summary>
internal sealed class EngineRegion : IDisposable
{
    private readonly SafeFileHandle handle;
    private readonly FileFacts opened;
    private readonly TimeProvider time;

    private EngineRegion(RegionOpenRequest request, SafeFileHandle handle, FileFacts opened, TimeProvider time)
    {
        Request = request;
        this.handle = handle;
        this.opened = opened;
        this.time = time;
    }

    /// <summary>What was asked for.</summary>
    public RegionOpenRequest Request { get; }

    /// <summary>Bytes of the file when it was opened.</summary>
    public long FileBytes => opened.Size;

    /// <summary>Opens a file: in the folder, of this user, plain, and as long as its rows need.</summary>
    public static Result<EngineRegion> Open(RegionOpenRequest request, RegionSettings settings, TimeProvider time)
    {
        if (RegionNames.Check(request.Path, settings.Directory) is { } misplaced) return misplaced;
        int error = RegionNative.Open(request.Path, out SafeFileHandle handle);
        if (error != 0)
        {
            handle.Dispose();
            return NotOpen(request.Path, error);
        }

        error = RegionNative.Look(handle, out FileFacts facts);
        KvError? refusal = error != 0 ? NotOpen(request.Path, error) : Check(request, facts);
        if (refusal is null) return new EngineRegion(request, handle, facts, time);
        handle.Dispose();
        return refusal;
    }

    /// <summary>Sees that the file is still the one that was opened, under its name, and long enough.</summary>
    /// <returns>Null when it is.</returns>
    public KvError? CheckCurrent()
    {
        try
        {
            int error = RegionNative.Look(handle, out FileFacts now);
            if (error != 0) return NotOpen(Request.Path, error);
            if (Check(Request, now) is { } changed) return changed;
            return RegionNative.Look(Request.Path, out FileFacts named) == 0 && named.IsSameFile(opened) ? null : Replaced();
        }
        catch (ObjectDisposedException)
        {
            return Closed();
        }
    }

    /// <summary>Copies a row out of the file.</summary>
    /// <param name="row">The row, below the number of rows.</param>
    /// <param name="destination">Takes the row's bytes.</param>
    /// <param name="deadlineNs">The bytes count only when they were read before it: after it the engine may put others there.</param>
    /// <returns>Null when the bytes are the row's.</returns>
    public KvError? Read(int row, Span<byte> destination, long deadlineNs)
    {
        long offset = row * Request.RowStride;
        try
        {
            for (int have = 0; have < destination.Length;)
            {
                long read = RegionNative.ReadAt(handle, destination[have..], offset + have);
                if (read == -RegionNative.Eintr) continue;
                if (read < 0) return Failed("read", row, -read);
                if (read == 0) return Shrunk(row);
                have += (int)read;
            }
        }
        catch (ObjectDisposedException)
        {
            return Closed();
        }

        return time.GetTimestamp() < deadlineNs ? null : TooLate(row);
    }

    /// <summary>
    /// Copies a row into the file, in one call of the system. The deadline is looked at under a lock of the row's first byte that lasts
    /// until the call has ended: who gets that lock after the deadline knows that nothing will be written any more.
    /// </summary>
    /// <param name="row">The row, below the number of rows.</param>
    /// <param name="source">The row's bytes.</param>
    /// <param name="deadlineNs">Nothing is written after it.</param>
    /// <returns>Null when the row has the bytes.</returns>
    public KvError? Write(int row, ReadOnlySpan<byte> source, long deadlineNs)
    {
        long offset = row * Request.RowStride;
        try
        {
            int error = RegionNative.LockByte(handle, offset);
            if (error != 0) return error == RegionNative.Eagain ? TooLate(row) : Failed("lock", row, error);
            try
            {
                // A write past the end would make the file longer.
                if (RegionNative.Look(handle, out FileFacts now) != 0 || now.Size < offset + source.Length) return Shrunk(row);
                if (time.GetTimestamp() >= deadlineNs) return TooLate(row);
                long written = RegionNative.WriteAt(handle, source, offset);
                if (written == source.Length) return null;
                return written < 0 ? Failed("write", row, -written) : Shrunk(row);
            }
            finally
            {
                RegionNative.UnlockByte(handle, offset);
            }
        }
        catch (ObjectDisposedException)
        {
            return Closed();
        }
    }

    /// <summary>Closes the file; copies on their way end first.</summary>
    public void Dispose() => handle.Dispose();

    private static KvError? Check(RegionOpenRequest request, in FileFacts facts)
    {
        if (!facts.IsRegular) return KvError.InvalidArgument("region.path", request.Path, "a plain file");
        if (facts.Uid != Native.PeerCredentials.OwnUid)
            return new KvError(ErrorCode.Unauthorized, "region.path", $"{request.Path} of user {facts.Uid}",
                $"a file of user {Native.PeerCredentials.OwnUid}, whose silo it is");
        long needed = request.Blocks * request.RowStride;
        return facts.Size >= needed ? null : KvError.InvalidArgument("region.fileBytes", facts.Size,
            $"at least {needed}: {request.Blocks} rows of {request.RowStride} bytes");
    }

    private static KvError NotOpen(string path, int error) =>
        new(ErrorCode.IoError, "region.path", path, $"a file that can be opened; the system's error is {Number(error)}");

    private KvError Replaced() => new(ErrorCode.IoError, "region.path", $"{Request.Path}, removed or replaced",
        "the file that was opened; open the region again");

    private static KvError Closed() => new(ErrorCode.Unavailable, "region", "closed", "an open region");

    private KvError Shrunk(int row) => new(ErrorCode.IoError, $"region.row[{Number(row)}]", "past the end of the file",
        $"a row of {Request.Path}, which has become shorter");

    private KvError Failed(string call, int row, long error) => new(ErrorCode.IoError, $"region.row[{Number(row)}]",
        $"{call} failed with {Number(error)}", $"a row of {Request.Path}");

    private static KvError TooLate(int row) =>
        new(ErrorCode.DeadlineExceeded, $"region.row[{Number(row)}]", "too late", "a copy that ends before the request's deadline");

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
