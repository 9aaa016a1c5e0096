using System.Buffers.Binary;
using System.Security.Cryptography;

namespace KvTier;

/// <summary>
/// The identity of a block inside the whole service: the first 16 bytes of SHA-256(namespace id ‖ key bytes).
/// Two blocks with the same key in namespaces that differ in tenant, model, dtype or layout have different ids.
/// </summary>
/// <param name="High">Bytes 0 to 7 of the digest, read as a big-endian number.</param>
/// <param name="Low">Bytes 8 to 15 of the digest, read as a big-endian number.</param>
public readonly record struct BlockId(ulong High, ulong Low)
{
    /// <summary>Length of an id in bytes, in memory, on the wire and on disk.</summary>
    public const int SizeBytes = 16;

    /// <summary>Computes the id of a key.</summary>
    /// <param name="ns">The namespace the key belongs to.</param>
    /// <param name="key">The key, 1 to <see cref="Limits.KeyBytesMax"/> bytes; its length is checked by the caller.</param>
    public static BlockId Compute(NamespaceId ns, ReadOnlySpan<byte> key)
    {
        Span<byte> message = key.Length <= 512 ? stackalloc byte[NamespaceId.SizeBytes + key.Length]
            : new byte[NamespaceId.SizeBytes + key.Length];
        ns.WriteTo(message);
        key.CopyTo(message[NamespaceId.SizeBytes..]);
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(message, digest);
        return Read(digest);
    }

    /// <summary>Reads an id from the first 16 bytes of a span.</summary>
    public static BlockId Read(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    /// <summary>Writes the 16 bytes of the id to the start of a span.</summary>
    public void WriteTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
    }

    /// <summary>The id as 32 lower-case hexadecimal digits.</summary>
    public override string ToString() => $"{High:x16}{Low:x16}";

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((int)(Low ^ (Low >> 32)));

    /// <inheritdoc/>
    public bool Equals(BlockId other) => High == other.High && Low == other.Low;
}
