using System.Buffers.Binary;
using System.Text;

namespace KvTier.Recall;

/// <summary>
/// The records of manifests. All begin with <c>KVS1</c> and a byte: 1 for a head, 2 for a segment. Numbers are little-endian. The bytes
/// were checked by engine and log; a record that still does not parse was written by something else, and is not used at all.
/// </summary>
internal static class ManifestFormat
{
    private const byte Head = 1;
    private const byte Segment = 2;

    /// <summary>A head that also has epoch, version, and whether the sequence is closed.</summary>
    private const byte NumberedHead = 3;
    private const int NumberBytes = 21;
    private const int SpecBytes = 32;
    private const int RotationBytes = 30;
    private const int DigestsMax = 8;

    private static ReadOnlySpan<byte> Magic => "KVS1"u8;

    /// <summary>Writes a segment.</summary>
    internal static byte[] WriteSegment(ReadOnlySpan<ManifestBlock> blocks)
    {
        var bytes = new byte[Magic.Length + 1 + (blocks.Length * ManifestBlock.SizeBytes)];
        var writer = new RecordWriter(bytes);
        writer.Bytes(Magic);
        writer.Byte(Segment);
        WriteBlocks(ref writer, blocks);
        return bytes;
    }

    /// <summary>Reads a segment.</summary>
    /// <returns>Null when it is none.</returns>
    internal static ManifestBlock[]? ReadSegment(ReadOnlySpan<byte> bytes)
    {
        var reader = new RecordReader(bytes);
        if (!reader.Expect(Magic) || reader.Byte() != Segment) return null;
        ManifestBlock[] blocks = ReadBlocks(ref reader, reader.Left / ManifestBlock.SizeBytes);
        return reader.IsDone ? blocks : null;
    }

    /// <summary>Writes a head.</summary>
    internal static byte[] WriteHead(SequenceManifest manifest)
    {
        byte[] name = Encoding.UTF8.GetBytes(manifest.Name);
        bool isNumbered = manifest.Epoch != 0 || manifest.Version != 0 || manifest.IsClosed;
        int numbers = isNumbered ? NumberBytes + manifest.Alone.Length : 0;
        int named = NamespaceId.SizeBytes + 2 + name.Length;
        int shape = ShapeBytes(manifest.Digests.Count);
        int blocks = 8 + 4 + 4 + (manifest.Segments.Count * BlockId.SizeBytes) + (manifest.Tail.Count * ManifestBlock.SizeBytes);
        var bytes = new byte[Magic.Length + 1 + numbers + named + shape + blocks];
        var writer = new RecordWriter(bytes);
        writer.Bytes(Magic);
        writer.Byte(isNumbered ? NumberedHead : Head);
        if (isNumbered)
        {
            writer.Long(manifest.Epoch);
            writer.Long(manifest.Version);
            writer.Byte((byte)(manifest.IsClosed ? 1 : 0));
            writer.Int(manifest.Alone.Length);
            writer.Bytes(manifest.Alone);
        }

        manifest.Namespace.WriteTo(writer.Take(NamespaceId.SizeBytes));
        BinaryPrimitives.WriteUInt16LittleEndian(writer.Take(2), (ushort)name.Length);
        writer.Bytes(name);
        WriteRotation(ref writer, manifest.Rotation);
        writer.Byte((byte)manifest.Digests.Count);
        foreach (DigestSpec spec in manifest.Digests) WriteSpec(ref writer, spec);
        writer.Long(manifest.Tokens);
        writer.Int(manifest.Segments.Count);
        writer.Int(manifest.Tail.Count);
        foreach (BlockId segment in manifest.Segments) segment.WriteTo(writer.Take(BlockId.SizeBytes));
        WriteBlocks(ref writer, manifest.Tail.ToArray());
        return bytes;
    }

    /// <summary>Reads a head.</summary>
    /// <returns>Null when it is none.</returns>
    internal static SequenceManifest? ReadHead(ReadOnlySpan<byte> bytes)
    {
        var reader = new RecordReader(bytes);
        bool isOurs = reader.Expect(Magic);
        byte kind = reader.Byte();
        if (!isOurs || kind is not (Head or NumberedHead)) return null;
        (long epoch, long version, bool isClosed) = kind == NumberedHead ? (reader.Long(), reader.Long(), reader.Byte() == 1) : default;
        byte[] alone = kind == NumberedHead ? reader.Take(Math.Max(0, reader.Int())).ToArray() : [];
        NamespaceId ns = NamespaceId.Read(reader.Take(NamespaceId.SizeBytes, whole: true));
        int nameLength = BinaryPrimitives.ReadUInt16LittleEndian(reader.Take(2, whole: true));
        string name = Encoding.UTF8.GetString(reader.Take(nameLength));
        RopeRotation? rotation = ReadRotation(ref reader);
        int specs = reader.Byte();
        if (specs is < 1 or > DigestsMax) return null;
        var digests = new DigestSpec[specs];
        for (int i = 0; i < specs; i++) digests[i] = ReadSpec(ref reader);
        long tokens = reader.Long();
        int segmentCount = reader.Int();
        int tailCount = reader.Int();
        if (segmentCount < 0 || tailCount < 0
            || ((long)segmentCount * BlockId.SizeBytes) + ((long)tailCount * ManifestBlock.SizeBytes) != reader.Left) return null;
        var segments = new BlockId[segmentCount];
        for (int i = 0; i < segmentCount; i++) segments[i] = BlockId.Read(reader.Take(BlockId.SizeBytes, whole: true));
        ManifestBlock[] tail = ReadBlocks(ref reader, tailCount);
        if (!reader.IsDone) return null;
        return new SequenceManifest
        {
            Namespace = ns,
            Name = name,
            Digests = digests,
            Rotation = rotation,
            Tokens = tokens,
            Segments = segments,
            Tail = tail,
            Epoch = epoch,
            Version = version,
            IsClosed = isClosed,
            Alone = alone,
        };
    }

    /// <summary>True when the bytes begin as a head does.</summary>
    internal static bool IsHead(ReadOnlySpan<byte> bytes) =>
        bytes.Length > Magic.Length && bytes.StartsWith(Magic) && bytes[Magic.Length] is Head or NumberedHead;

    /// <summary>Bytes of rotation and digests.</summary>
    internal static int ShapeBytes(int digests) => RotationBytes + 1 + (digests * SpecBytes);

    /// <summary>Writes rotation and digests alone.</summary>
    internal static void WriteShape(Span<byte> bytes, IReadOnlyList<DigestSpec> digests, RopeRotation? rotation)
    {
        var writer = new RecordWriter(bytes);
        WriteRotation(ref writer, rotation);
        writer.Byte((byte)digests.Count);
        foreach (DigestSpec spec in digests) WriteSpec(ref writer, spec);
    }

    /// <summary>Reads rotation and digests that were written alone.</summary>
    /// <returns>False when they are none.</returns>
    internal static bool TryReadShape(ReadOnlySpan<byte> bytes, out DigestSpec[] digests, out RopeRotation? rotation)
    {
        var reader = new RecordReader(bytes);
        rotation = ReadRotation(ref reader);
        int specs = reader.Byte();
        digests = specs is < 1 or > DigestsMax ? [] : new DigestSpec[specs];
        for (int i = 0; i < digests.Length; i++) digests[i] = ReadSpec(ref reader);
        return digests.Length > 0 && reader.IsDone;
    }

    private static void WriteBlocks(ref RecordWriter writer, ReadOnlySpan<ManifestBlock> blocks)
    {
        foreach (ManifestBlock block in blocks)
        {
            block.Id.WriteTo(writer.Take(BlockId.SizeBytes));
            writer.Int(unchecked((int)block.PayloadCrc));
        }
    }

    private static ManifestBlock[] ReadBlocks(ref RecordReader reader, int count)
    {
        var blocks = new ManifestBlock[count];
        for (int i = 0; i < count; i++)
            blocks[i] = new ManifestBlock(BlockId.Read(reader.Take(BlockId.SizeBytes, whole: true)), unchecked((uint)reader.Int()));
        return blocks;
    }

    private static void WriteRotation(ref RecordWriter writer, RopeRotation? rotation)
    {
        writer.Byte((byte)(rotation is null ? 0 : 1));
        RopeRotation value = rotation.GetValueOrDefault();
        writer.Long(BitConverter.DoubleToInt64Bits(value.Theta));
        writer.Long(BitConverter.DoubleToInt64Bits(value.ScalingFactor));
        writer.Int(value.RotaryDim);
        writer.Byte((byte)value.Pairing);
        writer.Long(value.FirstPosition);
    }

    private static RopeRotation? ReadRotation(ref RecordReader reader)
    {
        bool given = reader.Byte() == 1;
        var value = new RopeRotation(
            BitConverter.Int64BitsToDouble(reader.Long()), BitConverter.Int64BitsToDouble(reader.Long()), reader.Int(),
            (RopePairing)reader.Byte(), reader.Long());
        return given ? value : null;
    }

    private static void WriteSpec(ref RecordWriter writer, DigestSpec spec)
    {
        writer.Byte((byte)spec.Kind);
        writer.Byte((byte)spec.Form);
        writer.Int(spec.ChunkTokens);
        writer.Int(spec.Fanout);
        writer.Int(spec.OutlierChunks);
        writer.Int(spec.CodebookSize);
        writer.Int(spec.SubChunks);
        writer.Int(spec.Rank);
        writer.Int(spec.Peaks);
        writer.Byte((byte)(spec.ValueMap ? 1 : 0));
        writer.Byte((byte)(spec.Bounds ? 1 : 0));
    }

    private static DigestSpec ReadSpec(ref RecordReader reader) => new()
    {
        Kind = (DigestKind)reader.Byte(),
        Form = (DigestForm)reader.Byte(),
        ChunkTokens = reader.Int(),
        Fanout = reader.Int(),
        OutlierChunks = reader.Int(),
        CodebookSize = reader.Int(),
        SubChunks = reader.Int(),
        Rank = reader.Int(),
        Peaks = reader.Int(),
        ValueMap = reader.Byte() == 1,
        Bounds = reader.Byte() == 1,
    };
}
