namespace KvTier.Protocol;

/// <summary>
/// Reads RESP2 commands (multibulk and inline) from a buffer that fills as bytes come in. It refuses what Redis 7 refuses, with the same
/// errors. One reader belongs to one connection; it keeps its place between calls, so that a command that comes in pieces is read once.
/// </summary>
/// <remarks>
/// While a command is incomplete, every call gets a buffer that begins with the same byte, the command's first, and holds at least what
/// it held before. After <see cref="RespStatus.Ok"/> the next call begins <see cref="Consumed"/> bytes further on.
/// </remarks>
public sealed class RespReader
{
    /// <summary>Most bytes of a line (inline command, count, length) that has no end yet, as in Redis.</summary>
    public const int LineBytesMax = 64 * 1024;

    /// <summary>Most arguments of a command.</summary>
    public const int ArgumentsMax = 1024 * 1024;

    private const int UnauthenticatedArgumentsMax = 10;
    private const int UnauthenticatedBulkBytesMax = 16_384;

    private readonly RespArguments arguments = new();
    private bool done = true;
    private int position;
    private int multibulkLeft;
    private int bulkLength = -1;

    /// <summary>Longest bulk argument in bytes. Default 512 MiB, as Redis' <c>proto-max-bulk-len</c>.</summary>
    public int BulkBytesMax { get; init; } = 512 << 20;

    /// <summary>Bulk arguments from this length on are reported as <see cref="RespStatus.BulkPending"/>. Default 16 KiB.</summary>
    public int StreamBytesMin { get; init; } = 16 * 1024;

    /// <summary>True while the client has yet to give a password: it may send small commands only.</summary>
    public bool AuthRequired { get; set; }

    /// <summary>The arguments of the command, or those of an incomplete one that are here.</summary>
    public ReadOnlySpan<RespArgument> Arguments => arguments.Span;

    /// <summary>After <see cref="RespStatus.Ok"/>: bytes of the command in the buffer.</summary>
    public int Consumed => position;

    /// <summary>After <see cref="RespStatus.BulkPending"/>: bytes of the argument that is being received; its index is the number of
    /// <see cref="Arguments"/>.</summary>
    public int PendingLength => bulkLength;

    /// <summary>After <see cref="RespStatus.BulkPending"/>: where the argument's first byte is, or will be, in the buffer. What the buffer
    /// holds from there on belongs to the argument and the line end after it.</summary>
    public int PendingOffset => position;

    /// <summary>After <see cref="RespStatus.ProtocolError"/>: what is wrong.</summary>
    public RespProtocolError Error { get; private set; }

    /// <summary>After <see cref="RespProtocolError.ExpectedDollar"/>: the byte that stood there instead.</summary>
    public byte ErrorByte { get; private set; }

    /// <summary>Reads on.</summary>
    /// <param name="buffer">What is here; inline arguments with quotes are unescaped in it.</param>
    public RespStatus Read(Span<byte> buffer)
    {
        if (Error != RespProtocolError.None) return RespStatus.ProtocolError;
        if (done) Begin();
        if (buffer.IsEmpty) return RespStatus.Incomplete;
        RespStatus status = buffer[0] == (byte)'*' ? ReadMultibulk(buffer) : ReadInline(buffer);
        done = status == RespStatus.Ok;
        return status;
    }

    /// <summary>
    /// After <see cref="RespStatus.BulkPending"/>: says that the caller has taken the whole argument and the two bytes after it to a place
    /// of its own, those from <see cref="PendingOffset"/> on out of the buffer. The next call's buffer goes on at that offset with
    /// what follows them. The argument is then <see cref="RespArgument.IsTaken"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">No bulk argument is pending.</exception>
    public void TakeBulk()
    {
        if (done || bulkLength < 0) throw new InvalidOperationException("no bulk argument is pending");
        arguments.Add(new RespArgument(-1, bulkLength));
        EndBulk();
    }

    private void Begin()
    {
        arguments.Clear();
        position = 0;
        multibulkLeft = 0;
        bulkLength = -1;
        done = false;
    }

    private void EndBulk()
    {
        bulkLength = -1;
        multibulkLeft--;
    }

    private RespStatus ReadInline(Span<byte> buffer)
    {
        // Redis looks for the end with strchr, to which a zero byte ends the input; the connection then waits for the 64 KiB to be passed.
        int end = buffer.IndexOfAny((byte)'\n', (byte)0);
        if (end < 0 || buffer[end] == 0) return buffer.Length > LineBytesMax ? Fail(RespProtocolError.InlineTooBig) : RespStatus.Incomplete;
        int length = end > 0 && buffer[end - 1] == (byte)'\r' ? end - 1 : end;
        position = end + 1;
        return RespInline.TrySplit(buffer[..length], arguments) ? RespStatus.Ok : Fail(RespProtocolError.UnbalancedQuotes);
    }

    private RespStatus ReadMultibulk(Span<byte> buffer)
    {
        if (position == 0)
        {
            RespStatus status = ReadCount(buffer);
            if (status != RespStatus.Ok || multibulkLeft == 0) return status;
        }

        while (multibulkLeft > 0)
        {
            if (bulkLength < 0)
            {
                RespStatus status = ReadBulkLength(buffer);
                if (status != RespStatus.Ok) return status;
            }

            if (buffer.Length - position < bulkLength + 2L)
                return bulkLength >= StreamBytesMin ? RespStatus.BulkPending : RespStatus.Incomplete;
            arguments.Add(new RespArgument(position, bulkLength));
            position += bulkLength + 2;
            EndBulk();
        }

        return RespStatus.Ok;
    }

    private RespStatus ReadCount(ReadOnlySpan<byte> buffer)
    {
        RespStatus status = FindLine(buffer, RespProtocolError.MultibulkCountTooBig, out ReadOnlySpan<byte> line);
        if (status != RespStatus.Ok) return status;
        if (!RespNumber.TryParse(line[1..], out long count) || count > ArgumentsMax) return Fail(RespProtocolError.InvalidMultibulkLength);
        if (AuthRequired && count > UnauthenticatedArgumentsMax) return Fail(RespProtocolError.UnauthenticatedMultibulkLength);
        position += line.Length + 2;
        multibulkLeft = (int)Math.Max(count, 0);
        return RespStatus.Ok;
    }

    private RespStatus ReadBulkLength(ReadOnlySpan<byte> buffer)
    {
        RespStatus status = FindLine(buffer[position..], RespProtocolError.BulkCountTooBig, out ReadOnlySpan<byte> line);
        if (status != RespStatus.Ok) return status;
        byte first = buffer[position];
        if (first != (byte)'$')
        {
            ErrorByte = first;
            return Fail(RespProtocolError.ExpectedDollar);
        }

        if (!RespNumber.TryParse(line[1..], out long length) || length < 0 || length > BulkBytesMax)
            return Fail(RespProtocolError.InvalidBulkLength);
        if (AuthRequired && length > UnauthenticatedBulkBytesMax) return Fail(RespProtocolError.UnauthenticatedBulkLength);
        position += line.Length + 2;
        bulkLength = (int)length;
        return RespStatus.Ok;
    }

    /// <summary>Finds a line that ends with a carriage return and one more byte, which Redis doesn't look at.</summary>
    private RespStatus FindLine(ReadOnlySpan<byte> source, RespProtocolError tooBig, out ReadOnlySpan<byte> line)
    {
        line = default;
        int end = source.IndexOfAny((byte)'\r', (byte)0);
        if (end < 0 || source[end] == 0) return source.Length > LineBytesMax ? Fail(tooBig) : RespStatus.Incomplete;
        if (end + 2 > source.Length) return RespStatus.Incomplete;
        line = source[..end];
        return RespStatus.Ok;
    }

    private RespStatus Fail(RespProtocolError error)
    {
        Error = error;
        return RespStatus.ProtocolError;
    }
}
