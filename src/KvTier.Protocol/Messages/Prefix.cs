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

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private init; }

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, ushort ns, PrefixFlags flags, ReadOnlySpan<BlockId> ids, Route route = default)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + route.FieldCount);
        writer.Write((uint)ns);
        writer.Write((uint)flags);
        writer.WriteIds(buffer, ids);
        route.Write(buffer, ids.Length);
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
            Route = RouteView.Read(ref reader),
        };
        RouteView.Check(ref reader, request.Route, request.Ids.Count);
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

    private PrefixResponse(ReadOnlySpan<TierSet> tiers, long epoch, bool moved)
    {
        Tiers = tiers;
        Epoch = epoch;
        Moved = moved;
    }

    /// <summary>Blocks that are here without a gap from the first one on.</summary>
    public int Count => Tiers.Length;

    /// <summary>For each of them, where it is.</summary>
    public ReadOnlySpan<TierSet> Tiers { get; }

    /// <summary>The silo's epoch; 0 outside of a cluster.</summary>
    public long Epoch { get; }

    /// <summary>True when the first block that was not counted is not this silo's to have: another one may have it.</summary>
    public bool Moved { get; }

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="tiers">For each block counted, where it is.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster, and then neither it nor <paramref name="moved"/> is written.</param>
    /// <param name="moved">True when the first block that was not counted is not this silo's to have.</param>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<TierSet> tiers, long epoch = 0, bool moved = false)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + (2 * EpochField.CountOf(epoch)));
        writer.Write(tiers.Length);
        writer.Write(MemoryMarshal.AsBytes(tiers));
        if (epoch == 0) return;
        writer.Write(epoch);
        writer.Write(moved);
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
        bool routed = reader.TryOptional(2);
        long epoch = routed ? reader.Long("epoch") : 0;
        bool moved = routed && reader.Bool("moved");
        if (moved && here == count) reader.Refuse("moved", "true", "false when every block is counted");
        reader.Finish();
        response = reader.IsOk ? new PrefixResponse(MemoryMarshal.Cast<byte, TierSet>(tiers), epoch, moved) : default;
        return reader.Error;
    }
}
