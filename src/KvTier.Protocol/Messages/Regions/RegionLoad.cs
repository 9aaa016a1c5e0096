using System.Runtime.InteropServices;

namespace KvTier.Protocol;

/// <summary>Asks the silo to write blocks into rows of a region.</summary>
public readonly ref struct RegionLoadRequest
{
    private const int Fields = 4;

    /// <summary>Number of the region.</summary>
    public int Region { get; private init; }

    /// <summary>Until when rows may be written, on <c>CLOCK_MONOTONIC</c> of the machine.</summary>
    public long DeadlineNs { get; private init; }

    /// <summary>The blocks, standing in the body.</summary>
    public IdList Ids { get; private init; }

    /// <summary>The row of each, standing in the body.</summary>
    public Int32List Rows { get; private init; }

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private init; }

    /// <summary>Writes the body.</summary>
    public static void Write(
        FrameBuffer buffer, int region, long deadlineNs, ReadOnlySpan<BlockId> ids, ReadOnlySpan<int> rows, Route route = default)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(rows.Length, ids.Length);
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + route.FieldCount);
        writer.Write(region);
        writer.Write(deadlineNs);
        writer.WriteIds(buffer, ids);
        writer.Write(MemoryMarshal.AsBytes(rows));
        route.Write(buffer, ids.Length);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out RegionLoadRequest request)
    {
        var reader = new BodyReader(body, "regionLoad", Fields);
        request = new RegionLoadRequest
        {
            Region = reader.Int("region", int.MaxValue, min: 1),
            DeadlineNs = reader.Long("deadlineNs"),
            Ids = new IdList(reader.Blob("ids", BlockId.SizeBytes, limits.BatchBlocksMax)),
            Rows = new Int32List(reader.Blob("rows", sizeof(int), limits.BatchBlocksMax)),
            Route = RouteView.Read(ref reader),
        };
        if (reader.IsOk && request.Rows.Count != request.Ids.Count)
            reader.Refuse("rows.count", $"{request.Rows.Count}", $"{request.Ids.Count}, one for each block");
        RouteView.Check(ref reader, request.Route, request.Ids.Count);
        reader.Finish();
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }
}

/// <summary>The answer to a region load: a status for each block, as those of a get, and why rows could not be written.</summary>
public readonly ref struct RegionLoadResponse
{
    private const int Fields = 2;

    private RegionLoadResponse(ReadOnlySpan<GetStatus> statuses, KvError? error, long epoch)
    {
        Statuses = statuses;
        Error = error;
        Epoch = epoch;
    }

    /// <summary>What became of each block; the row of a hit has its bytes.</summary>
    public ReadOnlySpan<GetStatus> Statuses { get; }

    /// <summary>Why the first row that has a block could not be written; null when all could.</summary>
    public KvError? Error { get; }

    /// <summary>The silo's epoch; 0 outside of a cluster.</summary>
    public long Epoch { get; }

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<GetStatus> statuses, KvError? error, long epoch = 0)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + EpochField.CountOf(epoch));
        writer.Write(MemoryMarshal.AsBytes(statuses));
        ErrorBody.WriteOrNil(buffer, error);
        EpochField.Write(writer, epoch);
    }

    /// <summary>Reads the body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Blocks of the request; that many statuses must be there.</param>
    /// <param name="response">The response; its statuses stand in the body.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, out RegionLoadResponse response)
    {
        var reader = new BodyReader(body, "regionLoad", Fields);
        ReadOnlySpan<byte> statuses = reader.Bytes("statuses", count, count);
        KvError? error = ErrorBody.ReadOrNil(ref reader);
        long epoch = EpochField.Read(ref reader);
        reader.Finish();
        response = reader.IsOk ? new RegionLoadResponse(MemoryMarshal.Cast<byte, GetStatus>(statuses), error, epoch) : default;
        return reader.Error;
    }
}
