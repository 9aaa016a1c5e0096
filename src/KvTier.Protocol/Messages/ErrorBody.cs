namespace KvTier.Protocol;

/// <summary>The body of opcodes without fields.</summary>
public static class EmptyBody
{
    /// <summary>Writes the empty array.</summary>
    public static void Write(FrameBuffer buffer) => new MessagePackWriter(buffer).WriteArrayHeader(0);

    /// <summary>Checks a body of which no field is read: an array with anything in it.</summary>
    /// <returns>Null when it is one.</returns>
    public static KvError? Check(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "request", 0);
        reader.Finish();
        return reader.Error;
    }
}

/// <summary>The body of an error frame, and the error inside of other bodies: <c>[code, field, value, limit]</c>.</summary>
public static class ErrorBody
{
    private const int Fields = 4;

    /// <summary>Writes an error. Texts above <see cref="WireBounds.ErrorTextBytesMax"/> are cut, so that every error can be sent.</summary>
    public static void Write(FrameBuffer buffer, KvError error)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)error.Code);
        WriteText(writer, error.Field);
        WriteText(writer, error.Value);
        WriteText(writer, error.Limit);
    }

    /// <summary>Reads the body of an error frame.</summary>
    /// <returns>The error that the peer sent; an error of its own kind when the body can't be read.</returns>
    public static KvError Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "error", Fields);
        KvError error = ReadFields(ref reader);
        reader.Finish();
        return reader.Error ?? error;
    }

    /// <summary>Writes an error or nil.</summary>
    internal static void WriteOrNil(FrameBuffer buffer, KvError? error)
    {
        if (error is null) new MessagePackWriter(buffer).WriteNil();
        else Write(buffer, error);
    }

    /// <summary>Reads an error or nil.</summary>
    internal static KvError? ReadOrNil(ref BodyReader reader)
    {
        if (!reader.IsOk || reader.TryNil()) return null;
        int extra = reader.BeginItem("error", Fields);
        KvError error = ReadFields(ref reader);
        reader.EndItem("error", extra);
        return error;
    }

    private static KvError ReadFields(ref BodyReader reader) => new(
        (ErrorCode)reader.Unsigned("code", ushort.MaxValue),
        reader.Text("field", WireBounds.ErrorTextBytesMax),
        reader.Text("value", WireBounds.ErrorTextBytesMax),
        reader.Text("limit", WireBounds.ErrorTextBytesMax));

    private static void WriteText(MessagePackWriter writer, string text)
    {
        // A char takes at most 3 bytes of UTF-8; lone surrogates become U+FFFD, which takes 3 as well.
        Span<byte> utf8 = stackalloc byte[WireBounds.ErrorTextBytesMax];
        System.Text.Unicode.Utf8.FromUtf16(text, utf8, out _, out int written, replaceInvalidSequences: true);
        writer.WriteString(utf8[..written]);
    }
}
