using System.Runtime.InteropServices;

namespace KvTier.Protocol;

/// <summary>The answer to a put or commit: a status for each block, in their order, and an error or none.</summary>
public readonly ref struct PutResponse
{
    private const int Fields = 2;

    private PutResponse(ReadOnlySpan<PutItemStatus> statuses, KvError? error)
    {
        Statuses = statuses;
        Error = error;
    }

    /// <summary>A status for each block, in their order.</summary>
    public ReadOnlySpan<PutItemStatus> Statuses { get; }

    /// <summary>Why the first refused one was, or why <see cref="AckLevel.Ssd"/> could not be given; null when all went well.</summary>
    public KvError? Error { get; }

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<PutItemStatus> statuses, KvError? error)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(MemoryMarshal.AsBytes(statuses));
        ErrorBody.WriteOrNil(buffer, error);
    }

    /// <summary>Reads the body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Blocks of the request; that many statuses must be there.</param>
    /// <param name="response">The response; its statuses stand in the body.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, out PutResponse response)
    {
        var reader = new BodyReader(body, "put", Fields);
        ReadOnlySpan<byte> statuses = reader.Bytes("statuses", count, count);
        KvError? error = ErrorBody.ReadOrNil(ref reader);
        reader.Finish();
        int strange = statuses.IndexOfAnyExceptInRange((byte)0, (byte)PutItemStatus.Refused);
        if (strange >= 0) reader.Refuse("statuses", $"{statuses[strange]}", "0 to 2");
        response = reader.IsOk ? new PutResponse(MemoryMarshal.Cast<byte, PutItemStatus>(statuses), error) : default;
        return reader.Error;
    }
}

/// <summary>The answer to a delete, pin, unpin, touch or prefetch: a status for each id, in their order.</summary>
public static class StatusesResponse
{
    private const int Fields = 1;

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<ItemStatus> statuses)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(MemoryMarshal.AsBytes(statuses));
    }

    /// <summary>Reads the body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Ids of the request; that many statuses must be there.</param>
    /// <param name="statuses">A status for each id, standing in the body.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, out ReadOnlySpan<ItemStatus> statuses)
    {
        var reader = new BodyReader(body, "response", Fields);
        ReadOnlySpan<byte> bytes = reader.Bytes("statuses", count, count);
        reader.Finish();
        int strange = bytes.IndexOfAnyExceptInRange((byte)0, (byte)ItemStatus.Done);
        if (strange >= 0) reader.Refuse("statuses", $"{bytes[strange]}", "0 or 1");
        statuses = reader.IsOk ? MemoryMarshal.Cast<byte, ItemStatus>(bytes) : default;
        return reader.Error;
    }
}
