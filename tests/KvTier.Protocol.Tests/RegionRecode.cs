namespace KvTier.Protocol.Tests;

/// <summary>Decodes and encodes the messages of engine regions.</summary>
internal static class RegionRecode
{
    public static IEnumerable<KeyValuePair<string, Recoder>> All =>
    [
        new("regionOpen.request", static (body, _, output) =>
            Whole(RegionOpenRequest.Read(body, Recode.Limits), output, static (m, o) => m.Write(o))),
        new("regionOpen.response", static (body, _, output) => Whole(RegionOpenResponse.Read(body), output, static (m, o) => m.Write(o))),
        new("regionStore.request", Store),
        new("regionStore.response", StoreResponse),
        new("regionLoad.request", Load),
        new("regionLoad.response", LoadResponse),
        new("regionClose.request", static (body, _, output) => Whole(RegionCloseRequest.Read(body), output, static (m, o) => m.Write(o))),
        new("regionClose.response", static (body, _, output) =>
        {
            KvError? error = EmptyBody.Check(body);
            if (error is null) EmptyBody.Write(output);
            return error;
        }),
    ];

    private static KvError? Whole<T>(Result<T> result, FrameBuffer output, Action<T, FrameBuffer> write)
    {
        if (result.IsOk) write(result.Value, output);
        return result.Error;
    }

    private static KvError? Store(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (RegionStoreRequestReader.TryRead(body, Recode.Limits, out RegionStoreRequestReader reader) is { } error) return error;
        RegionStoreRequestWriter writer = RegionStoreRequestWriter.Begin(
            output, reader.Region, reader.Ack, reader.TtlMs, reader.DeadlineNs, reader.Count, Recode.Again(reader.Route));
        while (reader.TryReadNext(out RegionStoreItem item)) writer.Add(item.Key, item.Row);
        writer.End();
        return null;
    }

    private static KvError? StoreResponse(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (PutResponse.TryRead(body, 2, out PutResponse response) is { } error) return error;
        PutResponse.Write(output, response.Statuses, response.Error, response.Epoch);
        return null;
    }

    private static KvError? Load(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (RegionLoadRequest.TryRead(body, Recode.Limits, out RegionLoadRequest request) is { } error) return error;
        var rows = new int[request.Rows.Count];
        request.Rows.CopyTo(rows);
        RegionLoadRequest.Write(
            output, request.Region, request.DeadlineNs, Recode.ToArray(request.Ids), rows, Recode.Again(request.Route));
        return null;
    }

    private static KvError? LoadResponse(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (RegionLoadResponse.TryRead(body, 2, out RegionLoadResponse response) is { } error) return error;
        RegionLoadResponse.Write(output, response.Statuses, response.Error, response.Epoch);
        return null;
    }
}
