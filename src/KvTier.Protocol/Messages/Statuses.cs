using System.Runtime.InteropServices;

namespace KvTier.Protocol;

/// <summary>The answer to a put or commit: a status for each block, in their order, and an error or none.</summary>
public readonly ref struct PutResponse
{
    private const int Fields = 2;

    private PutResponse(ReadOnlySpan<PutItemStatus> statuses, KvError? error, long epoch)
    {
        Statuses = statuses;
        Error = error;
        Epoch = epoch;
    }

    /// <summary>A status for each block, in their order.</summary>
    public ReadOnlySpan<PutItemStatus> Statuses { get; }

    /// <summary>Why the first refused one was, or why the level of acknowledgement that was asked for could not be given; null when
    /// all went well.</summary>
    public KvError? Error { get; }

    /// <summary>The silo's epoch; 0 outside of a cluster.</summary>
    public long Epoch { get; }

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="statuses">A status for each block.</param>
    /// <param name="error">Why the first refused one was; null when none was.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster, and then it is not written.</param>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<PutItemStatus> statuses, KvError? error, long epoch = 0)
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
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, out PutResponse response)
    {
        var reader = new BodyReader(body, "put", Fields);
        ReadOnlySpan<byte> statuses = reader.Bytes("statuses", count, count);
        KvError? error = ErrorBody.ReadOrNil(ref reader);
        long epoch = EpochField.Read(ref reader);
        reader.Finish();
        int strange = statuses.IndexOfAnyExceptInRange((byte)0, (byte)PutItemStatus.Moved);
        if (strange >= 0) reader.Refuse("statuses", $"{statuses[strange]}", "0 to 3");
        response = reader.IsOk ? new PutResponse(MemoryMarshal.Cast<byte, PutItemStatus>(statuses), error, epoch) : default;
        return reader.Error;
    }
}

/// <summary>The answer to a delete, pin, unpin, touch or prefetch: a status for each id, in their order.</summary>
public static class StatusesResponse
{
    private const int Fields = 1;

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="statuses">A status for each id.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster, and then it is not written.</param>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<ItemStatus> statuses, long epoch = 0)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + EpochField.CountOf(epoch));
        writer.Write(MemoryMarshal.AsBytes(statuses));
        EpochField.Write(writer, epoch);
    }

    /// <summary>Reads the body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Ids of the request; that many statuses must be there.</param>
    /// <param name="statuses">A status for each id, standing in the body.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, out ReadOnlySpan<ItemStatus> statuses) =>
        TryRead(body, count, out statuses, out _);

    /// <summary>Reads the body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Ids of the request; that many statuses must be there.</param>
    /// <param name="statuses">A status for each id, standing in the body.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, out ReadOnlySpan<ItemStatus> statuses, out long epoch)
    {
        var reader = new BodyReader(body, "response", Fields);
        ReadOnlySpan<byte> bytes = reader.Bytes("statuses", count, count);
        epoch = EpochField.Read(ref reader);
        reader.Finish();
        int strange = bytes.IndexOfAnyExceptInRange((byte)0, (byte)ItemStatus.Moved);
        if (strange >= 0) reader.Refuse("statuses", $"{bytes[strange]}", "0 to 2");
        statuses = reader.IsOk ? MemoryMarshal.Cast<byte, ItemStatus>(bytes) : default;
        return reader.Error;
    }
}
