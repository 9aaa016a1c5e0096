using System.Buffers.Binary;

namespace KvTier;

/// <summary>
/// The check that travels with a block's bytes: CRC32C over its identity and the CRC32C of the bytes. A peer that computes it
/// from the id it asked for finds both wrong bytes and right bytes of another block.
/// </summary>
public static class BlockCheck
{
    /// <summary>Bytes that the check covers besides the payload's own CRC.</summary>
    private const int MessageBytes = BlockId.SizeBytes + 16;

    /// <summary>Computes the check of a range of a block.</summary>
    /// <param name="id">The block.</param>
    /// <param name="codec">Stored form of the payload; 0 is raw.</param>
    /// <param name="offset">First byte of the range; 0 for a whole block.</param>
    /// <param name="length">Bytes of the range.</param>
    /// <param name="payloadCrc">CRC32C of the range's bytes.</param>
    public static uint Compute(BlockId id, byte codec, int offset, int length, uint payloadCrc)
    {
        Span<byte> message = stackalloc byte[MessageBytes];
        id.WriteTo(message);
        BinaryPrimitives.WriteInt32LittleEndian(message[16..], codec);
        BinaryPrimitives.WriteInt32LittleEndian(message[20..], offset);
        BinaryPrimitives.WriteInt32LittleEndian(message[24..], length);
        BinaryPrimitives.WriteUInt32LittleEndian(message[28..], payloadCrc);
        return Crc32C.Compute(message);
    }
}
