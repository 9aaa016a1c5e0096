namespace KvTier.Protocol;

/// <summary>A delete, unpin, touch, prefetch or describe: a namespace and ids.</summary>
public readonly ref struct IdsRequest
{
    private const int Fields = 2;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private init; }

    /// <summary>The blocks, standing in the body.</summary>
    public IdList Ids { get; private init; }

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private init; }

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, ushort ns, ReadOnlySpan<BlockId> ids, Route route = default)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + route.FieldCount);
        writer.Write((uint)ns);
        writer.WriteIds(buffer, ids);
        route.Write(buffer, ids.Length);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out IdsRequest request)
    {
        var reader = new BodyReader(body, "request", Fields);
        request = new IdsRequest
        {
            Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue),
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

/// <summary>A pin: a namespace, a time and ids.</summary>
public readonly ref struct PinRequest
{
    private const int Fields = 3;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private init; }

    /// <summary>How long, in ms, 1 to <see cref="Limits.PinMsMax"/>.</summary>
    public long PinMs { get; private init; }

    /// <summary>The blocks, standing in the body.</summary>
    public IdList Ids { get; private init; }

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private init; }

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, ushort ns, long pinMs, ReadOnlySpan<BlockId> ids, Route route = default)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + route.FieldCount);
        writer.Write((uint)ns);
        writer.Write(pinMs);
        writer.WriteIds(buffer, ids);
        route.Write(buffer, ids.Length);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out PinRequest request)
    {
        var reader = new BodyReader(body, "pin", Fields);
        request = new PinRequest
        {
            Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue),
            PinMs = reader.Long("pinMs", limits.PinMsMax, min: 1),
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
