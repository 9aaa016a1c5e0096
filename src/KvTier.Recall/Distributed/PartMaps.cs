using System.Runtime.InteropServices;

namespace KvTier.Recall;

/// <summary>Asks a part for sums, or gives it what was learnt from them.</summary>
/// <param name="Namespace">Fingerprint of the namespace.</param>
/// <param name="Name">Name of the sequence.</param>
/// <param name="Stamp">What the part must be.</param>
/// <param name="Digest">The digest.</param>
/// <param name="Blocks">First blocks of the sequence that are learnt from.</param>
/// <param name="FirstLayer">First layer.</param>
/// <param name="Layers">How many.</param>
internal sealed record PartMaps(
    NamespaceId Namespace, string Name, ulong Stamp, DigestSpec Digest, int Blocks, int FirstLayer, int Layers)
{
    /// <summary>Writes it.</summary>
    /// <param name="payload">Numbers that go with it.</param>
    internal ReadOnlyMemory<byte> Write(ReadOnlySpan<byte> payload = default)
    {
        var writer = new MessageWriter();
        writer.Int(unchecked((int)Crc32C.Compute(payload)));
        writer.Namespace(Namespace);
        writer.Text(Name);
        writer.Long((long)Stamp);
        MessageShapes.Write(writer, [Digest], rotation: null);
        writer.Int(Blocks);
        writer.Int(FirstLayer);
        writer.Int(Layers);
        return writer.Written;
    }

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none, or the numbers are damaged.</returns>
    internal static PartMaps? Read(ReadOnlySpan<byte> body, ReadOnlySpan<byte> payload)
    {
        var reader = new MessageReader(body);
        if (unchecked((uint)reader.Int()) != Crc32C.Compute(payload)) return null;
        NamespaceId ns = reader.Namespace();
        string name = reader.Text();
        ulong stamp = (ulong)reader.Long();
        if (!MessageShapes.TryRead(ref reader, out DigestSpec[] digests, out _)) return null;
        var maps = new PartMaps(ns, name, stamp, digests[0], reader.Int(), reader.Int(), reader.Int());
        return reader.IsDone ? maps : null;
    }

    /// <summary>Numbers as bytes.</summary>
    internal static byte[] ToBytes(ReadOnlySpan<float> numbers) => MemoryMarshal.AsBytes(numbers).ToArray();

    /// <summary>Bytes as numbers.</summary>
    internal static float[] ToNumbers(ReadOnlySpan<byte> bytes)
    {
        var numbers = new float[bytes.Length / sizeof(float)];
        bytes[..(numbers.Length * sizeof(float))].CopyTo(MemoryMarshal.AsBytes(numbers.AsSpan()));
        return numbers;
    }
}
