using System.Globalization;
using System.Text;
using KvTier.Storage.Device;

namespace KvTier.Storage;

/// <summary>
/// A silo's folder: owned by one process at a time, of a known format. Holds the log in <see cref="LogPath"/> and the namespaces.
/// </summary>
public sealed class DataDirectory : IDisposable
{
    /// <summary>Version of the disk format that this build writes, and the newest it reads.</summary>
    public const int FormatVersion = 2;

    private const string LockName = "silo.lock";
    private const string FormatName = "FORMAT";
    private const string FormatPrefix = "kvtier-data ";
    private const string IdentityName = "identity";
    private const string ClusterName = "cluster";
    private const long EpochsEnd = 1L << 62;
    private const int SmallFileBytesMax = 4096;

    /// <summary>Bytes of the folder's identity.</summary>
    public const int IdentityBytes = 16;

    private readonly FileStream lockFile;

    private DataDirectory(string path, FileStream lockFile)
    {
        Path = path;
        this.lockFile = lockFile;
        Namespaces = new NamespaceStore(System.IO.Path.Combine(path, "namespaces.json"));
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The folder of the log's files: <c>log</c> under <see cref="Path"/>.</summary>
    public string LogPath => System.IO.Path.Combine(Path, "log");

    /// <summary>The registered namespaces.</summary>
    public NamespaceStore Namespaces { get; }

    /// <summary>Makes the folder when it is missing and takes it for this process.</summary>
    /// <param name="path">The folder.</param>
    /// <returns>The folder, held until it is disposed; <see cref="ErrorCode.Busy"/> with the owner's pid when another silo has it,
    /// <see cref="ErrorCode.VersionMismatch"/> when a newer format is in it, <see cref="ErrorCode.IoError"/>
    /// when it can't be used.</returns>
    public static Result<DataDirectory> Open(string path)
    {
        if (string.IsNullOrEmpty(path)) return KvError.InvalidArgument("dataDirectory", path, "a path");
        try
        {
            Directory.CreateDirectory(path);
            if (!TryLock(path, out FileStream? lockFile, out KvError? busy)) return busy!;
            if (CheckFormat(path) is { } wrong)
            {
                lockFile!.Dispose();
                return wrong;
            }

            return new DataDirectory(path, lockFile!);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new KvError(ErrorCode.IoError, "dataDirectory", path, $"a folder that can be read and written ({exception.Message})");
        }
    }

    /// <summary>
    /// Reads the folder's identity, which tells it from every other folder: made once, then kept. A copy of a folder has the same one.
    /// </summary>
    /// <param name="fresh">The identity of a folder that has none yet: <see cref="IdentityBytes"/> random bytes.</param>
    /// <returns>32 hexadecimal digits; <see cref="ErrorCode.Corrupt"/> when the file holds something else.</returns>
    public Result<string> ReadIdentity(ReadOnlySpan<byte> fresh)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(fresh.Length, IdentityBytes);
        string identityPath = System.IO.Path.Combine(Path, IdentityName);
        try
        {
            if (!File.Exists(identityPath)) AtomicFile.Write(identityPath, Encoding.ASCII.GetBytes(Convert.ToHexStringLower(fresh) + "\n"));
            string text = ReadSmall(identityPath).Trim();
            return text.Length == 2 * IdentityBytes && text.All(char.IsAsciiHexDigitLower)
                ? text
                : new KvError(ErrorCode.Corrupt, identityPath, text, $"{2 * IdentityBytes} hexadecimal digits");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new KvError(ErrorCode.IoError, identityPath, "can't be used", exception.Message);
        }
    }

    /// <summary>Reads what <see cref="WriteCluster"/> wrote last.</summary>
    /// <returns>The epoch of the cluster's map, 0 when none was written, and its silos; <see cref="ErrorCode.Corrupt"/> when the file
    /// holds something else.</returns>
    public Result<(long Epoch, int Silos)> ReadCluster()
    {
        string clusterPath = System.IO.Path.Combine(Path, ClusterName);
        try
        {
            if (!File.Exists(clusterPath)) return (0L, 0);
            string text = ReadSmall(clusterPath).Trim();
            string[] parts = text.Split(' ');
            bool isRight = parts is ["epoch", _, "silos", _]
                & long.TryParse(parts.ElementAtOrDefault(1), NumberStyles.None, CultureInfo.InvariantCulture, out long epoch)
                & int.TryParse(parts.ElementAtOrDefault(3), NumberStyles.None, CultureInfo.InvariantCulture, out int silos);
            return isRight && epoch < EpochsEnd
                ? (epoch, silos)
                : new KvError(ErrorCode.Corrupt, clusterPath, text, "epoch NUMBER silos NUMBER");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new KvError(ErrorCode.IoError, clusterPath, "can't be used", exception.Message);
        }
    }

    /// <summary>Notes the newest map of the cluster that the silo is in: an etcd that has lost its data is to go on above it.</summary>
    /// <param name="epoch">Its epoch.</param>
    /// <param name="silos">Its silos.</param>
    /// <returns>Null, or why it could not be written; then what was written before stands.</returns>
    public KvError? WriteCluster(long epoch, int silos)
    {
        string clusterPath = System.IO.Path.Combine(Path, ClusterName);
        string text = string.Create(CultureInfo.InvariantCulture, $"epoch {epoch} silos {silos}\n");
        try
        {
            AtomicFile.Write(clusterPath, Encoding.ASCII.GetBytes(text));
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new KvError(ErrorCode.IoError, clusterPath, "can't be written", exception.Message);
        }
    }

    /// <summary>Gives the folder back. The lock file stays; it is the lock on it that counts.</summary>
    public void Dispose() => lockFile.Dispose();

    private static bool TryLock(string path, out FileStream? lockFile, out KvError? error)
    {
        string lockPath = System.IO.Path.Combine(path, LockName);
        error = null;
        lockFile = null;
        try
        {
            // An exclusive flock, which the kernel gives back when the process is gone, however it went.
            lockFile = new FileStream(lockPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        }
        catch (IOException) when (File.Exists(lockPath))
        {
            error = new KvError(ErrorCode.Busy, "dataDirectory", path,
                $"a folder that no other silo uses; the one with pid {ReadOwner(lockPath)} holds {LockName}");
            return false;
        }

        lockFile.SetLength(0);
        lockFile.Write(Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n"));
        lockFile.Flush(flushToDisk: true);
        return true;
    }

    /// <summary>Reads the pid past the lock, which the file classes of the BCL respect even for reading.</summary>
    private static unsafe string ReadOwner(string lockPath)
    {
        if (Native.Open(lockPath, create: false, direct: false, out int descriptor) != 0) return "unknown";
        Span<byte> bytes = stackalloc byte[32];
        long read;
        fixed (byte* memory = bytes)
        {
            var vector = new IoVector((nint)memory, bytes.Length);
            if (Native.Read(descriptor, &vector, 1, 0, out read) != 0) read = 0;
        }

        Native.Close(descriptor);
        string text = Encoding.ASCII.GetString(bytes[..(int)read]).Trim();
        return text.Length > 0 ? text : "unknown";
    }

    private static KvError? CheckFormat(string path)
    {
        string formatPath = System.IO.Path.Combine(path, FormatName);
        if (!File.Exists(formatPath))
        {
            WriteFormat(formatPath);
            return null;
        }

        string text = ReadSmall(formatPath).Trim();
        bool known = text.StartsWith(FormatPrefix, StringComparison.Ordinal)
            & int.TryParse(text.AsSpan(Math.Min(FormatPrefix.Length, text.Length)), NumberStyles.None, CultureInfo.InvariantCulture,
                out int version);
        string right = $"{FormatPrefix.Trim()} and a number from 1 to {FormatVersion}";
        if (!known) return new KvError(ErrorCode.Corrupt, formatPath, text, right);
        if (version is < 1 or > FormatVersion)
        {
            return new KvError(ErrorCode.VersionMismatch, $"data format of {path}", $"{version}",
                $"1 to {FormatVersion}, what this build reads");
        }

        // What is written from now on has fields that an older build would take for zeros.
        if (version < FormatVersion) WriteFormat(formatPath);
        return null;
    }

    private static void WriteFormat(string formatPath) =>
        AtomicFile.Write(formatPath, Encoding.ASCII.GetBytes(FormatPrefix + FormatVersion.ToString(CultureInfo.InvariantCulture) + "\n"));

    private static string ReadSmall(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        var bytes = new byte[SmallFileBytesMax];
        return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
    }
}
