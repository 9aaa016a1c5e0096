using System.Runtime.InteropServices;

namespace KvTier.Protocol;

/// <summary>Asks how many of these ordered blocks are here without a gap.</summary>
public readonly ref struct PrefixRequest
{
    private const int Fields = 3;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private init; }

    /// <summary>Flags.</summary>
    public PrefixFlags Flags { get; private init; }

    /// <summary>The blocks in the order of the sequence, standing in the body.</summary>
    public IdList Ids { get; private init; }

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, ushort ns, PrefixFlags flags, ReadOnlySpan<BlockId> ids)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)ns);
        writer.Write((uint)flags);
        writer.WriteIds(buffer, ids);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out PrefixRequest request)
    {
        var reader = new BodyReader(body, "prefix", Fields);
        request = new PrefixRequest
        {
            Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue),
            Flags = (PrefixFlags)reader.Unsigned("flags", (ulong)PrefixFlags.Touch),
            Ids = new IdList(reader.Blob("ids", BlockId.SizeBytes, limits.BatchBlocksMax)),
        };
        reader.Finish();
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }
}

/// <summary>The answer to a prefix.</summary>
public readonly ref struct PrefixResponse
{
    private const int Fields = 2;

    private PrefixResponse(ReadOnlySpan<TierSet> tiers) => Tiers = tiers;

    /// <summary>Blocks that are here without a gap from the first one on.</summary>
    public int Count => Tiers.Length;

    /// <summary>For each of them, where it is.</summary>
    public ReadOnlySpan<TierSet> Tiers { get; }

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="tiers">For each block counted, where it is.</param>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<TierSet> tiers)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(tiers.Length);
        writer.Write(MemoryMarshal.AsBytes(tiers));
    }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Ids of the request; no more can be counted.</param>
    /// <param name="response">The response; its tiers stand in the body.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, out PrefixResponse response)
    {
        var reader = new BodyReader(body, "prefix", Fields);
        int here = reader.Int("count", count);
        ReadOnlySpan<byte> tiers = reader.Bytes("tiers", here, here);
        reader.Finish();
        response = reader.IsOk ? new PrefixResponse(MemoryMarshal.Cast<byte, TierSet>(tiers)) : default;
        return reader.Error;
    }
}
