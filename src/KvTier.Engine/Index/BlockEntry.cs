using System.Runtime.InteropServices;

namespace KvTier.Engine;

/// <summary>Facts about a block that are one bit each.</summary>
[Flags]
internal enum EntryFlags : byte
{
    /// <summary>None of them.</summary>
    None = 0,

    /// <summary>It is in the pin table.</summary>
    Pinned = 1,

    /// <summary>It was hit since it was appended to the log, so a reclaimed segment appends it again.</summary>
    Hot = 2,

    /// <summary>The log may hold some record of this id, so a delete must leave a tombstone.</summary>
    Traced = 4,

    /// <summary>It was read from the log once since it left host memory, so the next read promotes it.</summary>
    ReadOnce = 8,

    /// <summary>The device tier has a copy.</summary>
    OnDevice = 16,
}

/// <summary>What the index keeps of a block: 48 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = SizeBytes)]
internal struct BlockEntry
{
    internal const int SizeBytes = 48;

    /// <summary>Namespace of an entry that is free.</summary>
    internal const ushort FreeNamespace = ushort.MaxValue;

    /// <summary>Largest expiry that is kept exactly; later ones become this one, in the year 10889.</summary>
    internal const long ExpiryMax = (1L << 48) - 1;

    private const int AddressBits = 40;
    private const int KeyBits = 10;
    private const int FlagBits = 6;
    private const int KeyShift = AddressBits;
    private const int FlagShift = KeyShift + KeyBits;
    private const int CodecShift = FlagShift + FlagBits;
    private const int SectorShift = 9;

    internal ulong High;
    internal ulong Low;
    private ulong namespaceAndExpiry;
    private ulong meta;

    /// <summary>Bytes of the payload.</summary>
    internal int Length;

    /// <summary>CRC32C of the payload.</summary>
    internal uint Crc;

    /// <summary>Slot in host memory; -1 for none.</summary>
    internal int Slot;

    /// <summary>Handle of the key in the <see cref="KeyStore"/>.</summary>
    internal uint Key;

    internal readonly BlockId Id => new(High, Low);

    internal ushort Namespace
    {
        readonly get => (ushort)namespaceAndExpiry;
        set => namespaceAndExpiry = (namespaceAndExpiry & ~0xFFFFUL) | value;
    }

    /// <summary>When the block expires, in ms since 1970; 0 for never.</summary>
    internal long Expiry
    {
        readonly get => (long)(namespaceAndExpiry >> 16);
        set => namespaceAndExpiry = (namespaceAndExpiry & 0xFFFF) | ((ulong)Math.Clamp(value, 0, ExpiryMax) << 16);
    }

    /// <summary>Its committed record in the log; none when it has none.</summary>
    internal LogAddress Address
    {
        readonly get => new((long)(Get(0, AddressBits) << SectorShift));
        set => Set(0, AddressBits, (ulong)value.Value >> SectorShift);
    }

    internal int KeyLength
    {
        readonly get => (int)Get(KeyShift, KeyBits);
        set => Set(KeyShift, KeyBits, (ulong)value);
    }

    internal EntryFlags Flags
    {
        readonly get => (EntryFlags)Get(FlagShift, FlagBits);
        set => Set(FlagShift, FlagBits, (ulong)value);
    }

    internal byte Codec
    {
        readonly get => (byte)(meta >> CodecShift);
        set => Set(CodecShift, 8, value);
    }

    internal readonly bool Has(EntryFlags flag) => (Flags & flag) == flag;

    private readonly ulong Get(int shift, int bits) => (meta >> shift) & ((1UL << bits) - 1);

    private void Set(int shift, int bits, ulong value)
    {
        ulong mask = ((1UL << bits) - 1) << shift;
        meta = (meta & ~mask) | ((value << shift) & mask);
    }
}
