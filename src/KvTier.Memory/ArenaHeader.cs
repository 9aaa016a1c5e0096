using System.Buffers.Binary;

namespace KvTier.Memory;

/// <summary>
/// What stands at the start of an arena's file, so that a client can tell it from a stale or foreign one. All little-endian.
/// </summary>
/// <param name="SizeBytes">Bytes of the file.</param>
/// <param name="Nonce">Random number of this arena.</param>
/// <param name="ProcessId">The silo's process.</param>
internal readonly record struct ArenaHeader(long SizeBytes, ulong Nonce, int ProcessId)
{
    /// <summary>Bytes kept for the header: one extent, so that every slot is aligned in the file as it is in its extent.</summary>
    public const int AreaBytes = ExtentPool.ExtentBytes;

    /// <summary>Bytes of the header proper.</summary>
    public const int Bytes = 44;

    /// <summary>Version of the layout.</summary>
    public const int Version = 1;

    private const int CheckOffset = 40;

    private static ReadOnlySpan<byte> Magic => "KVTARENA"u8;

    /// <summary>Reads a header.</summary>
    /// <returns>The header; <see cref="ErrorCode.Corrupt"/> or <see cref="ErrorCode.VersionMismatch"/> when
    /// it is none that can be used.</returns>
    public static Result<ArenaHeader> Read(ReadOnlySpan<byte> source)
    {
        if (source.Length < Bytes || !source.StartsWith(Magic))
            return new KvError(ErrorCode.Corrupt, "arena.magic", "another file", "KVTARENA");
        int version = BinaryPrimitives.ReadInt32LittleEndian(source[8..]);
        if (version != Version) return new KvError(ErrorCode.VersionMismatch, "arena.version", $"{version}", $"{Version}");
        uint check = BinaryPrimitives.ReadUInt32LittleEndian(source[CheckOffset..]);
        uint computed = Crc32C.Compute(source[..CheckOffset]);
        if (check != computed) return new KvError(ErrorCode.Corrupt, "arena.check", $"{check:x8}", $"{computed:x8}");
        return new ArenaHeader(
            BinaryPrimitives.ReadInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[32..]));
    }

    /// <summary>Writes the header.</summary>
    public void Write(Span<byte> destination)
    {
        destination[..Bytes].Clear();
        Magic.CopyTo(destination);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], AreaBytes);
        BinaryPrimitives.WriteInt64LittleEndian(destination[16..], SizeBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[24..], Nonce);
        BinaryPrimitives.WriteInt32LittleEndian(destination[32..], ProcessId);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[CheckOffset..], Crc32C.Compute(destination[..CheckOffset]));
    }
}
