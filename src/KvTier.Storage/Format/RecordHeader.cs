using System.Buffers.Binary;

namespace KvTier.Storage.Format;

/// <summary>The kinds of piece that a header announces besides those of <see cref="LogRecordKind"/>.</summary>
internal static class PieceKind
{
    /// <summary>A further piece of a record that did not fit its page.</summary>
    public const byte Continuation = 0xFE;

    /// <summary>Bytes that fill a page and say nothing.</summary>
    public const byte Filler = 0xFF;
}

/// <summary>
/// The header that stands before every piece of a record. The layout is in docs/reference/disk-format.md; the first 4 bytes
/// belong to FasterLog, which keeps the entry's length there.
/// </summary>
internal struct RecordHeader
{
    public const int FixedBytes = 128;
    public const int ShortKeyMax = LogGeometry.Align - FixedBytes;
    public const int KeyBytesMax = 512;
    public const byte Version = 1;
    private const uint Magic = 0x3152564B; // "KVR1"
    private const int CrcOffset = 124;
    private const int EntryPrefixBytes = 4;
    private const int PayloadMax = 64 << 20;

    public byte Kind;
    public byte Codec;
    public int KeyLength;
    public int HeaderBytes;
    public long Address;
    public long FirstAddress;
    public uint Epoch;
    public uint FragmentIndex;
    public NamespaceId Namespace;
    public BlockId Id;
    public BlockId Group;
    public int PayloadLength;
    public int FragmentOffset;
    public int FragmentLength;
    public uint PayloadCrc;
    public long ExpiryUnixMs;
    public LogGeometry Geometry;

    public readonly bool IsFirst => Kind is >= (byte)LogRecordKind.Block and <= (byte)LogRecordKind.Clear;

    public readonly int TotalBytes => HeaderBytes + LogGeometry.RoundUp(FragmentLength);

    public readonly Fragment Fragment => new(Address, HeaderBytes, FragmentOffset, FragmentLength);

    public readonly RecoveredRecord ToRecord() => new()
    {
        Kind = (LogRecordKind)Kind,
        Address = new LogAddress(Address),
        Namespace = Namespace,
        Id = Id,
        Group = Group,
        Codec = Codec,
        Length = PayloadLength,
        PayloadCrc = PayloadCrc,
        ExpiryUnixMs = ExpiryUnixMs,
    };

    /// <summary>Writes all of the header region but FasterLog's 4 bytes.</summary>
    /// <param name="entry">The entry as FasterLog passes it: from byte 4 of the region on.</param>
    /// <param name="key">The key; empty for continuations and fillers.</param>
    public readonly void Write(Span<byte> entry, ReadOnlySpan<byte> key)
    {
        Span<byte> h = entry[..(HeaderBytes - EntryPrefixBytes)];
        h.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(h, Magic);
        h[4] = Version;
        h[5] = Kind;
        h[6] = Codec;
        BinaryPrimitives.WriteUInt16LittleEndian(h[8..], (ushort)KeyLength);
        BinaryPrimitives.WriteUInt16LittleEndian(h[10..], (ushort)(HeaderBytes / LogGeometry.Align));
        BinaryPrimitives.WriteInt64LittleEndian(h[12..], Address);
        BinaryPrimitives.WriteInt64LittleEndian(h[20..], FirstAddress);
        BinaryPrimitives.WriteUInt32LittleEndian(h[28..], Epoch);
        BinaryPrimitives.WriteUInt32LittleEndian(h[32..], FragmentIndex);
        Namespace.WriteTo(h[36..]);
        Id.WriteTo(h[52..]);
        BinaryPrimitives.WriteInt32LittleEndian(h[68..], PayloadLength);
        BinaryPrimitives.WriteInt32LittleEndian(h[72..], FragmentOffset);
        BinaryPrimitives.WriteInt32LittleEndian(h[76..], FragmentLength);
        BinaryPrimitives.WriteUInt32LittleEndian(h[80..], PayloadCrc);
        BinaryPrimitives.WriteInt64LittleEndian(h[84..], ExpiryUnixMs);
        h[92] = (byte)Geometry.PageBits;
        h[93] = (byte)Geometry.SegmentBits;
        Group.WriteTo(h[94..]);
        key.CopyTo(h[(FixedBytes - EntryPrefixBytes)..]);
        uint crc = Crc32C.Append(Crc32C.Compute(h[..(CrcOffset - EntryPrefixBytes)]), key);
        BinaryPrimitives.WriteUInt32LittleEndian(h[(CrcOffset - EntryPrefixBytes)..], crc);
    }

    /// <summary>Reads and checks a header. Never throws, whatever the bytes.</summary>
    /// <param name="region">The region from FasterLog's 4 bytes on; 512 bytes, or 1024 where that much is at hand.</param>
    /// <param name="header">The header when it is good.</param>
    /// <param name="need">Bytes of the region that are needed to judge it; more than the span has when the key is long.</param>
    public static bool TryRead(ReadOnlySpan<byte> region, out RecordHeader header, out int need)
    {
        header = default;
        need = LogGeometry.Align;
        if (region.Length < LogGeometry.Align) return false;
        ReadOnlySpan<byte> h = region[EntryPrefixBytes..];
        if (BinaryPrimitives.ReadUInt32LittleEndian(h) != Magic || h[4] != Version) return false;
        int keyLength = BinaryPrimitives.ReadUInt16LittleEndian(h[8..]);
        int headerBytes = BinaryPrimitives.ReadUInt16LittleEndian(h[10..]) * LogGeometry.Align;
        if (keyLength > KeyBytesMax || headerBytes != LogGeometry.HeaderBytes(keyLength)) return false;
        need = headerBytes;
        if (region.Length < need) return false;
        uint crc = Crc32C.Append(Crc32C.Compute(h[..(CrcOffset - EntryPrefixBytes)]), region.Slice(FixedBytes, keyLength));
        if (crc != BinaryPrimitives.ReadUInt32LittleEndian(h[(CrcOffset - EntryPrefixBytes)..])) return false;
        header = Decode(h, keyLength, headerBytes);
        return header.IsConsistent() && BinaryPrimitives.ReadInt32LittleEndian(region) == header.TotalBytes - EntryPrefixBytes;
    }

    private static RecordHeader Decode(ReadOnlySpan<byte> h, int keyLength, int headerBytes) => new()
    {
        Kind = h[5],
        Codec = h[6],
        KeyLength = keyLength,
        HeaderBytes = headerBytes,
        Address = BinaryPrimitives.ReadInt64LittleEndian(h[12..]),
        FirstAddress = BinaryPrimitives.ReadInt64LittleEndian(h[20..]),
        Epoch = BinaryPrimitives.ReadUInt32LittleEndian(h[28..]),
        FragmentIndex = BinaryPrimitives.ReadUInt32LittleEndian(h[32..]),
        Namespace = NamespaceId.Read(h[36..]),
        Id = BlockId.Read(h[52..]),
        PayloadLength = BinaryPrimitives.ReadInt32LittleEndian(h[68..]),
        FragmentOffset = BinaryPrimitives.ReadInt32LittleEndian(h[72..]),
        FragmentLength = BinaryPrimitives.ReadInt32LittleEndian(h[76..]),
        PayloadCrc = BinaryPrimitives.ReadUInt32LittleEndian(h[80..]),
        ExpiryUnixMs = BinaryPrimitives.ReadInt64LittleEndian(h[84..]),
        Geometry = new LogGeometry(h[92], h[93]),
        Group = BlockId.Read(h[94..]),
    };

    private readonly bool IsConsistent()
    {
        if (Address < LogGeometry.FirstAddress || Address % LogGeometry.Align != 0 || !Geometry.IsValid) return false;
        if (PayloadLength is < 0 or > PayloadMax || FragmentLength < 0 || FragmentOffset < 0) return false;
        if (Kind == PieceKind.Filler) return FragmentLength <= Geometry.RoomInPage(Address) - HeaderBytes;
        if (FragmentOffset > PayloadLength - FragmentLength || TotalBytes > Geometry.RoomInPage(Address)) return false;
        if (Kind == PieceKind.Continuation)
            return FirstAddress < Address && FirstAddress >= LogGeometry.FirstAddress && FragmentOffset > 0 && KeyLength == 0;
        return IsFirst && FirstAddress == Address && FragmentIndex == 0 && FragmentOffset == 0
            && FragmentLength == Geometry.First(Address, HeaderBytes, PayloadLength).PayloadBytes;
    }
}
