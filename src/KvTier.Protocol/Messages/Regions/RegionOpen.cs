namespace KvTier.Protocol;

/// <summary>Asks the silo to open an engine's file of KV rows on this machine.</summary>
/// <param name="Namespace">Handle of the namespace that rows are stored in and loaded from.</param>
/// <param name="Path">The file, in the silo's folder of regions.</param>
/// <param name="Engine">Whose file it is, for the log; 0 to <see cref="WireBounds.NameBytesMax"/> bytes.</param>
/// <param name="Blocks">Rows of the file.</param>
/// <param name="RowStride">Bytes from one row to the next, a multiple of <see cref="WireBounds.RegionAlignment"/>.</param>
/// <param name="RowBytes">Bytes of a row that are a block: 1 to the stride.</param>
public sealed record RegionOpenRequest(ushort Namespace, string Path, string Engine, long Blocks, long RowStride, int RowBytes)
{
    private const int Fields = 6;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)Namespace);
        writer.Write(Path);
        writer.Write(Engine);
        writer.Write(Blocks);
        writer.Write(RowStride);
        writer.Write(RowBytes);
    }

    /// <summary>Reads and checks the body.</summary>
    public static Result<RegionOpenRequest> Read(ReadOnlySpan<byte> body, Limits limits)
    {
        var reader = new BodyReader(body, "regionOpen", Fields);
        var request = new RegionOpenRequest(
            (ushort)reader.Unsigned("ns", ushort.MaxValue),
            reader.Text("path", WireBounds.PathBytesMax),
            reader.Text("engine", WireBounds.NameBytesMax),
            reader.Long("blocks", WireBounds.RegionBlocksMax, min: 1),
            reader.Long("rowStride", WireBounds.RegionBytesMax, min: 1),
            reader.Int("rowBytes", limits.BlockBytesMax, min: 1));
        reader.Finish();
        if (reader.Error is { } error) return error;
        if (request.RowStride % WireBounds.RegionAlignment != 0)
            return KvError.InvalidArgument("regionOpen.rowStride", request.RowStride, $"a multiple of {WireBounds.RegionAlignment}");
        if (request.RowBytes > request.RowStride)
            return KvError.InvalidArgument("regionOpen.rowBytes", request.RowBytes, $"at most the stride, {request.RowStride}");
        return request.Blocks > WireBounds.RegionBytesMax / request.RowStride
            ? KvError.LimitExceeded("regionOpen.bytes", $"{request.Blocks} rows of {request.RowStride}", WireBounds.RegionBytesMax)
            : request;
    }
}

/// <summary>The answer: the region is open for this connection.</summary>
/// <param name="Region">Its number, from 1.</param>
/// <param name="FileBytes">Bytes of the file.</param>
public sealed record RegionOpenResponse(int Region, long FileBytes)
{
    private const int Fields = 2;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(Region);
        writer.Write(FileBytes);
    }

    /// <summary>Reads the body.</summary>
    public static Result<RegionOpenResponse> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "regionOpen", Fields);
        var response = new RegionOpenResponse(reader.Int("region", int.MaxValue, min: 1), reader.Long("fileBytes"));
        reader.Finish();
        return reader.Error is null ? response : reader.Error;
    }
}

/// <summary>Ends a region of this connection; it is answered by an empty body.</summary>
/// <param name="Region">Its number.</param>
public sealed record RegionCloseRequest(int Region)
{
    private const int Fields = 1;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(Region);
    }

    /// <summary>Reads the body.</summary>
    public static Result<RegionCloseRequest> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "regionClose", Fields);
        var request = new RegionCloseRequest(reader.Int("region", int.MaxValue, min: 1));
        reader.Finish();
        return reader.Error is null ? request : reader.Error;
    }
}
