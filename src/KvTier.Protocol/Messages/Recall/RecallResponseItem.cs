using System.Buffers.Binary;

namespace KvTier.Protocol;

/// <summary>Tokens that are missing as they stand in a body: first token, tokens and reason, 16 bytes, little-endian.</summary>
public readonly ref struct MissingList
{
    internal const int EntryBytes = 16;

    private readonly ReadOnlySpan<byte> blob;

    internal MissingList(ReadOnlySpan<byte> blob) => this.blob = blob;

    /// <summary>Number of runs.</summary>
    public int Count => blob.Length / EntryBytes;

    /// <summary>The run at an index.</summary>
    public MissingTokens this[int index]
    {
        get
        {
            ReadOnlySpan<byte> entry = blob.Slice(index * EntryBytes, EntryBytes);
            return new MissingTokens(
                BinaryPrimitives.ReadInt64LittleEndian(entry),
                BinaryPrimitives.ReadInt32LittleEndian(entry[8..]),
                (MissReason)BinaryPrimitives.ReadInt32LittleEndian(entry[12..]));
        }
    }

    internal static void Write(MessagePackWriter writer, FrameBuffer buffer, IReadOnlyList<MissingTokens> missing)
    {
        int bytes = checked(missing.Count * EntryBytes);
        writer.WriteBinHeader(bytes);
        Span<byte> destination = buffer.GetSpan(bytes);
        for (int i = 0; i < missing.Count; i++)
        {
            Span<byte> entry = destination.Slice(i * EntryBytes, EntryBytes);
            BinaryPrimitives.WriteInt64LittleEndian(entry, missing[i].FirstToken);
            BinaryPrimitives.WriteInt32LittleEndian(entry[8..], missing[i].Tokens);
            BinaryPrimitives.WriteInt32LittleEndian(entry[12..], (int)missing[i].Reason);
        }

        buffer.Advance(bytes);
    }
}

/// <summary>One item of a recall's answer, to be written.</summary>
public readonly ref struct RecallResponseItem
{
    internal const int Fields = 12;
    internal const int CostFields = 8;

    /// <summary>Tokens of a unit.</summary>
    public required int UnitTokens { get; init; }

    /// <summary>Units chosen for each KV head <c>[Hkv]</c>.</summary>
    public required ReadOnlySpan<int> Counts { get; init; }

    /// <summary>The units, one KV head after the other, ascending.</summary>
    public required ReadOnlySpan<int> Units { get; init; }

    /// <summary>What each slot is to hold now, <c>[Hkv, slots]</c>; empty when the caller holds none.</summary>
    public ReadOnlySpan<int> Slots { get; init; }

    /// <summary>Units of each KV head whose rows are in the payload <c>[Hkv]</c>; empty without a gather.</summary>
    public ReadOnlySpan<int> SentCounts { get; init; }

    /// <summary>Those units, one KV head after the other, in the order of their rows.</summary>
    public ReadOnlySpan<int> Sent { get; init; }

    /// <summary>Tokens chosen that could not be read.</summary>
    public IReadOnlyList<MissingTokens> Missing { get; init; }

    /// <summary>Rows (n) of each KV head in a gather's payload.</summary>
    public int GatherRows { get; init; }

    /// <summary>First byte of the item's part of the payload.</summary>
    public long PayloadOffset { get; init; }

    /// <summary>Bytes of it.</summary>
    public int PayloadLength { get; init; }

    /// <summary>CRC32C of them.</summary>
    public uint Check { get; init; }

    /// <summary>What it cost.</summary>
    public RecallCost Cost { get; init; }

    internal void Write(MessagePackWriter writer, FrameBuffer buffer)
    {
        writer.WriteArrayHeader(Fields);
        writer.Write(UnitTokens);
        writer.WriteInt32s(buffer, Counts);
        writer.WriteInt32s(buffer, Units);
        writer.WriteInt32s(buffer, Slots);
        writer.WriteInt32s(buffer, SentCounts);
        writer.WriteInt32s(buffer, Sent);
        MissingList.Write(writer, buffer, Missing ?? []);
        writer.Write(GatherRows);
        writer.Write(PayloadOffset);
        writer.Write(PayloadLength);
        writer.Write(Check);
        writer.WriteArrayHeader(CostFields);
        writer.Write(Cost.UnitsScored);
        writer.Write(Cost.DigestBytes);
        writer.Write(Cost.KvBytes);
        writer.Write(Cost.SsdBytes);
        writer.Write(Cost.HotHits);
        writer.Write(Cost.HotMisses);
        writer.Write(Cost.Reused);
        writer.Write(Cost.Certified);
    }
}
