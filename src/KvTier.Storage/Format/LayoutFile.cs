using System.Buffers.Binary;
using KvTier.Storage.Device;

namespace KvTier.Storage.Format;

/// <summary>The file that says how large pages and segments are: written once, when the log is made.</summary>
internal static class LayoutFile
{
    public const string Name = "layout";
    private const int Bytes = 16;
    private const uint Magic = 0x314C564B; // "KVL1"
    private const ushort Version = 1;

    /// <summary>The geometry of the log in a folder; a new log gets one that fits its cap.</summary>
    public static Result<LogGeometry> LoadOrCreate(ISegmentStore store, LogOptions options)
    {
        string path = store.PathOf(Name);
        try
        {
            if (File.Exists(path))
            {
                byte[] bytes = File.ReadAllBytes(path);
                bool whole = TryParse(bytes, out LogGeometry stored, out int version);
                if (whole && version > Version) return new KvError(ErrorCode.VersionMismatch, path, $"{version}", $"{Version}");
                if (whole && stored.IsValid) return stored;
            }

            LogGeometry geometry = FromRecords(store) ?? LogGeometry.Choose(options.CapBytes, options.PageBytes);
            AtomicFile.Write(path, Format(geometry));
            return geometry;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new KvError(ErrorCode.IoError, path, exception.Message, "a file that can be read and written");
        }
    }

    /// <summary>Removes what an interrupted write left behind.</summary>
    public static void DeleteLeftovers(string directory)
    {
        foreach (string path in Directory.EnumerateFiles(directory, "*.tmp")) File.Delete(path);
    }

    internal static byte[] Format(LogGeometry geometry)
    {
        var bytes = new byte[Bytes];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(4), Version);
        bytes[6] = (byte)geometry.PageBits;
        bytes[7] = (byte)geometry.SegmentBits;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), Crc32C.Compute(bytes.AsSpan(0, 12)));
        return bytes;
    }

    internal static bool TryParse(ReadOnlySpan<byte> bytes, out LogGeometry geometry, out int version)
    {
        geometry = default;
        version = 0;
        if (bytes.Length != Bytes || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic) return false;
        if (Crc32C.Compute(bytes[..12]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..])) return false;
        geometry = new LogGeometry(bytes[6], bytes[7]);
        version = BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]);
        return true;
    }

    /// <summary>Every record header repeats the geometry, so a damaged layout file loses nothing.</summary>
    private static LogGeometry? FromRecords(ISegmentStore store)
    {
        var window = new byte[2 * LogGeometry.Align];
        foreach (long segment in store.List())
        {
            using FileStream file = File.OpenRead(store.PathOf(DirectorySegmentStore.NameOf(segment)));
            for (long offset = 0; offset + LogGeometry.Align <= Math.Min(file.Length, 64 << 20); offset += LogGeometry.Align)
            {
                file.Position = offset;
                int read = file.ReadAtLeast(window, window.Length, throwOnEndOfStream: false);
                if (RecordHeader.TryRead(window.AsSpan(0, read), out RecordHeader header, out _)) return header.Geometry;
            }
        }

        return null;
    }
}
