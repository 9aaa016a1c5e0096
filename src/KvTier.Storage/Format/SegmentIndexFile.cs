using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;

namespace KvTier.Storage.Format;

/// <summary>What the header of a segment's index says.</summary>
internal readonly record struct SegmentIndexHeader(
    LogGeometry Geometry, long Segment, long NextAddress, uint Epoch, int Count, long EntryBytes)
{
    /// <summary>Version of the entries; that of this build when it writes them.</summary>
    public int Version { get; init; } = SegmentIndexFile.Version;
}

/// <summary>
/// The index of a segment: one entry for each record that begins in it, with its key, so that a restart need not read the segment.
/// CRC32C over all of it; layout in docs/reference/disk-format.md.
/// </summary>
internal static class SegmentIndexFile
{
    public const int HeaderBytes = 64;
    public const int EntryFixedBytes = 76;
    public const ushort Version = 2;
    private const uint Magic = 0x3149564B; // "KVI1"
    private const ushort VersionWithoutGroups = 1;
    private const int EntryFixedBytesWithoutGroups = 68;
    private const int GroupOffset = 60;
    private const long FileBytesMax = 2L << 30;

    public static string NameOf(long segment) => segment.ToString("x16", CultureInfo.InvariantCulture) + ".idx";

    public static int EntryBytes(int keyLength) => EntryFixedBytes + keyLength;

    public static void WriteEntry(Span<byte> entry, in RecoveredRecord record, ReadOnlySpan<byte> key)
    {
        BinaryPrimitives.WriteInt64LittleEndian(entry, record.Address.Value);
        record.Namespace.WriteTo(entry[8..]);
        record.Id.WriteTo(entry[24..]);
        entry[40] = (byte)record.Kind;
        entry[41] = record.Codec;
        BinaryPrimitives.WriteUInt16LittleEndian(entry[42..], (ushort)key.Length);
        BinaryPrimitives.WriteInt32LittleEndian(entry[44..], record.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[48..], record.PayloadCrc);
        BinaryPrimitives.WriteInt64LittleEndian(entry[52..], record.ExpiryUnixMs);
        record.Group.WriteTo(entry[GroupOffset..]);
        key.CopyTo(entry[EntryFixedBytes..]);
    }

    /// <summary>Reads one entry from the front of the bytes and moves past it. Never throws, whatever they are.</summary>
    /// <param name="entries">The entries that are left.</param>
    /// <param name="version">Version of the index; before 2 an entry names no group.</param>
    /// <param name="record">The record.</param>
    /// <param name="key">Its key.</param>
    public static bool TryReadEntry(
        ref ReadOnlySpan<byte> entries, int version, out RecoveredRecord record, out ReadOnlySpan<byte> key)
    {
        record = default;
        key = default;
        ReadOnlySpan<byte> bytes = entries;
        bool hasGroup = version != VersionWithoutGroups;
        int fixedBytes = hasGroup ? EntryFixedBytes : EntryFixedBytesWithoutGroups;
        if (bytes.Length < fixedBytes) return false;
        int keyLength = BinaryPrimitives.ReadUInt16LittleEndian(bytes[42..]);
        if (keyLength > RecordHeader.KeyBytesMax || bytes.Length < fixedBytes + keyLength) return false;
        key = bytes.Slice(fixedBytes, keyLength);
        entries = bytes[(fixedBytes + keyLength)..];
        record = new RecoveredRecord
        {
            Kind = (LogRecordKind)bytes[40],
            Address = new LogAddress(BinaryPrimitives.ReadInt64LittleEndian(bytes)),
            Namespace = NamespaceId.Read(bytes[8..]),
            Id = BlockId.Read(bytes[24..]),
            Group = hasGroup ? BlockId.Read(bytes[GroupOffset..]) : default,
            Codec = bytes[41],
            Length = BinaryPrimitives.ReadInt32LittleEndian(bytes[44..]),
            PayloadCrc = BinaryPrimitives.ReadUInt32LittleEndian(bytes[48..]),
            ExpiryUnixMs = BinaryPrimitives.ReadInt64LittleEndian(bytes[52..]),
        };
        return record.Kind is >= LogRecordKind.Block and <= LogRecordKind.Clear && record.Length >= 0;
    }

    public static void WriteHeader(Span<byte> file, in SegmentIndexHeader header)
    {
        file[..HeaderBytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(file, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(file[4..], (ushort)header.Version);
        file[6] = (byte)header.Geometry.PageBits;
        file[7] = (byte)header.Geometry.SegmentBits;
        BinaryPrimitives.WriteInt64LittleEndian(file[8..], header.Segment);
        BinaryPrimitives.WriteInt64LittleEndian(file[16..], header.NextAddress);
        BinaryPrimitives.WriteUInt32LittleEndian(file[24..], header.Epoch);
        BinaryPrimitives.WriteInt32LittleEndian(file[28..], header.Count);
        BinaryPrimitives.WriteInt64LittleEndian(file[32..], header.EntryBytes);
        uint crc = Crc32C.Append(Crc32C.Compute(file[..60]), file.Slice(HeaderBytes, (int)header.EntryBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(file[60..], crc);
    }

    /// <summary>Checks the whole of an index. Never throws, whatever the bytes.</summary>
    public static bool TryRead(ReadOnlySpan<byte> file, out SegmentIndexHeader header)
    {
        header = default;
        if (file.Length < HeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(file) != Magic) return false;
        int version = BinaryPrimitives.ReadUInt16LittleEndian(file[4..]);
        if (version is not (Version or VersionWithoutGroups)) return false;
        header = new SegmentIndexHeader(
            new LogGeometry(file[6], file[7]),
            BinaryPrimitives.ReadInt64LittleEndian(file[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(file[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(file[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(file[28..]),
            BinaryPrimitives.ReadInt64LittleEndian(file[32..]))
        { Version = version };
        if (header.EntryBytes != file.Length - HeaderBytes || header.Count < 0) return false;
        return Crc32C.Append(Crc32C.Compute(file[..60]), file[HeaderBytes..]) == BinaryPrimitives.ReadUInt32LittleEndian(file[60..]);
    }

    /// <summary>Reads an index file into memory outside the GC heap.</summary>
    /// <returns>Null when it is missing, unreadable or fails its check.</returns>
    public static unsafe LoadedIndex? Load(string path)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            long length = stream.Length;
            if (length is < HeaderBytes or >= FileBytesMax) return null;
            var loaded = new LoadedIndex((byte*)NativeMemory.Alloc((nuint)length), (int)length);
            try
            {
                stream.ReadExactly(loaded.All);
            }
            catch (IOException)
            {
                loaded.Dispose();
                throw;
            }

            if (TryRead(loaded.All, out SegmentIndexHeader header))
            {
                loaded.Header = header;
                return loaded;
            }

            loaded.Dispose();
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>An index in memory.</summary>
    internal sealed unsafe class LoadedIndex(byte* memory, int length) : IDisposable
    {
        private byte* memory = memory;

        public SegmentIndexHeader Header { get; set; }

        public Span<byte> All => new(memory, length);

        public ReadOnlySpan<byte> Entries => All[HeaderBytes..];

        public void Dispose()
        {
            NativeMemory.Free(memory);
            memory = null;
        }
    }
}
