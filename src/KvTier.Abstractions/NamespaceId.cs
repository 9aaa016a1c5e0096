using System.Buffers.Binary;

namespace KvTier;

/// <summary>
/// The fingerprint of a namespace: the first 16 bytes of SHA-256 over the canonical text of its descriptor
/// (<see cref="NamespaceDescriptor.CanonicalText"/>). Everything that decides whether two engines may share bytes is in it.
/// </summary>
/// <param name="High">Bytes 0 to 7 of the digest, read as a big-endian number.</param>
/// <param name="Low">Bytes 8 to 15 of the digest, read as a big-endian number.</param>
public readonly record struct NamespaceId(ulong High, ulong Low)
{
    /// <summary>Length of a namespace id in bytes.</summary>
    public const int SizeBytes = 16;

    /// <summary>Reads an id from the first 16 bytes of a span.</summary>
    public static NamespaceId Read(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    /// <summary>Writes the 16 bytes of the id to the start of a span.</summary>
    public void WriteTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
    }

    /// <summary>The id as 32 lower-case hexadecimal digits.</summary>
    public override string ToString() => $"{High:x16}{Low:x16}";
}
