using System.Buffers.Text;
using System.Text;

namespace KvTier.Protocol;

/// <summary>Writes RESP2 replies to the end of a <see cref="FrameBuffer"/>.</summary>
public readonly ref struct RespWriter
{
    private const int NumberBytesMax = 20;

    private readonly FrameBuffer buffer;

    /// <summary>Writes to the end of a buffer.</summary>
    public RespWriter(FrameBuffer buffer) => this.buffer = buffer;

    /// <summary>Writes <c>+OK</c>.</summary>
    public void WriteOk() => WriteRaw("+OK\r\n"u8);

    /// <summary>Writes a simple string.</summary>
    /// <param name="text">One line.</param>
    public void WriteSimpleString(ReadOnlySpan<byte> text) => WriteLine((byte)'+', text);

    /// <summary>Writes an error.</summary>
    /// <param name="text">The error with its code, such as <c>ERR syntax error</c>; line ends in it become spaces, as in Redis.</param>
    public void WriteError(ReadOnlySpan<byte> text) => WriteLine((byte)'-', text);

    /// <summary>Writes an error.</summary>
    public void WriteError(string text)
    {
        int start = buffer.WrittenCount;
        WriteRaw("-"u8);
        int length = Encoding.UTF8.GetBytes(text, buffer.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length)));
        buffer.Advance(length);
        ReplaceLineEnds(buffer.Written(start + 1, length));
        WriteLineEnd();
    }

    /// <summary>Writes the error of a <see cref="RespStatus.ProtocolError"/>; the connection is closed after it.</summary>
    public void WriteProtocolError(RespReader reader)
    {
        ReadOnlySpan<byte> text = Text(reader.Error);
        if (reader.Error != RespProtocolError.ExpectedDollar)
        {
            WriteError(text);
            return;
        }

        Span<byte> whole = stackalloc byte[text.Length + 2];
        text.CopyTo(whole);
        whole[^2] = reader.ErrorByte;
        whole[^1] = (byte)'\'';
        WriteError(whole);
    }

    /// <summary>Writes an integer.</summary>
    public void WriteInteger(long value) => WriteNumber((byte)':', value);

    /// <summary>Writes a bulk string.</summary>
    public void WriteBulk(ReadOnlySpan<byte> value)
    {
        WriteBulkHeader(value.Length);
        WriteRaw(value);
        WriteLineEnd();
    }

    /// <summary>Writes a number as a bulk string.</summary>
    public void WriteBulkNumber(long value)
    {
        Span<byte> digits = stackalloc byte[NumberBytesMax];
        Utf8Formatter.TryFormat(value, digits, out int length);
        WriteBulk(digits[..length]);
    }

    /// <summary>Writes what stands before a bulk string's bytes; the bytes and then <see cref="WriteLineEnd"/> must follow.</summary>
    public void WriteBulkHeader(int length) => WriteNumber((byte)'$', length);

    /// <summary>Writes the end of a line, which also ends a bulk string.</summary>
    public void WriteLineEnd() => WriteRaw("\r\n"u8);

    /// <summary>Writes the null bulk string.</summary>
    public void WriteNullBulk() => WriteRaw("$-1\r\n"u8);

    /// <summary>Writes the head of an array; that many replies must follow.</summary>
    public void WriteArrayHeader(int count) => WriteNumber((byte)'*', count);

    /// <summary>Writes the null array.</summary>
    public void WriteNullArray() => WriteRaw("*-1\r\n"u8);

    /// <summary>Writes bytes as they are.</summary>
    public void WriteRaw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(buffer.GetSpan(bytes.Length));
        buffer.Advance(bytes.Length);
    }

    private static ReadOnlySpan<byte> Text(RespProtocolError error) => error switch
    {
        RespProtocolError.InlineTooBig => "ERR Protocol error: too big inline request"u8,
        RespProtocolError.UnbalancedQuotes => "ERR Protocol error: unbalanced quotes in request"u8,
        RespProtocolError.MultibulkCountTooBig => "ERR Protocol error: too big mbulk count string"u8,
        RespProtocolError.InvalidMultibulkLength => "ERR Protocol error: invalid multibulk length"u8,
        RespProtocolError.UnauthenticatedMultibulkLength => "ERR Protocol error: unauthenticated multibulk length"u8,
        RespProtocolError.BulkCountTooBig => "ERR Protocol error: too big bulk count string"u8,
        RespProtocolError.ExpectedDollar => "ERR Protocol error: expected '$', got '"u8,
        RespProtocolError.InvalidBulkLength => "ERR Protocol error: invalid bulk length"u8,
        RespProtocolError.UnauthenticatedBulkLength => "ERR Protocol error: unauthenticated bulk length"u8,
        _ => throw new ArgumentOutOfRangeException(nameof(error), error, "no error"),
    };

    private static void ReplaceLineEnds(Span<byte> text)
    {
        text.Replace((byte)'\r', (byte)' ');
        text.Replace((byte)'\n', (byte)' ');
    }

    private void WriteLine(byte type, ReadOnlySpan<byte> text)
    {
        Span<byte> destination = buffer.GetSpan(text.Length + 3);
        destination[0] = type;
        text.CopyTo(destination[1..]);
        ReplaceLineEnds(destination.Slice(1, text.Length));
        "\r\n"u8.CopyTo(destination[(text.Length + 1)..]);
        buffer.Advance(text.Length + 3);
    }

    private void WriteNumber(byte type, long value)
    {
        Span<byte> destination = buffer.GetSpan(NumberBytesMax + 3);
        destination[0] = type;
        Utf8Formatter.TryFormat(value, destination[1..], out int length);
        "\r\n"u8.CopyTo(destination[(length + 1)..]);
        buffer.Advance(length + 3);
    }
}
