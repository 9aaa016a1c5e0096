namespace KvTier.Protocol;

/// <summary>What <see cref="RespReader.Read"/> found.</summary>
public enum RespStatus : byte
{
    /// <summary>A whole command; it may have no arguments (an empty line, <c>*0</c>), which asks for no reply.</summary>
    Ok,

    /// <summary>The command is not all here: append what comes and read again.</summary>
    Incomplete,

    /// <summary>
    /// As <see cref="Incomplete"/>, inside of a bulk argument of at least <see cref="RespReader.StreamBytesMin"/>: the caller may receive
    /// the argument's bytes to a place of its own, see <see cref="RespReader.TakeBulk"/>.
    /// </summary>
    BulkPending,

    /// <summary>The bytes are no command: send <see cref="RespReader.Error"/> and close the connection.</summary>
    ProtocolError,
}

/// <summary>Errors of the RESP protocol, as Redis 7 words them (<see cref="RespWriter.WriteProtocolError"/>).</summary>
public enum RespProtocolError : byte
{
    /// <summary>No error.</summary>
    None,

    /// <summary><c>too big inline request</c>: 64 KiB without a line feed.</summary>
    InlineTooBig,

    /// <summary><c>unbalanced quotes in request</c>.</summary>
    UnbalancedQuotes,

    /// <summary><c>too big mbulk count string</c>: 64 KiB without the end of the count.</summary>
    MultibulkCountTooBig,

    /// <summary><c>invalid multibulk length</c>: not a number, or above <see cref="RespReader.ArgumentsMax"/>.</summary>
    InvalidMultibulkLength,

    /// <summary><c>unauthenticated multibulk length</c>: more than 10 arguments before AUTH.</summary>
    UnauthenticatedMultibulkLength,

    /// <summary><c>too big bulk count string</c>: 64 KiB without the end of the length.</summary>
    BulkCountTooBig,

    /// <summary><c>expected '$', got 'x'</c>.</summary>
    ExpectedDollar,

    /// <summary><c>invalid bulk length</c>: not a number, negative, or above <see cref="RespReader.BulkBytesMax"/>.</summary>
    InvalidBulkLength,

    /// <summary><c>unauthenticated bulk length</c>: more than 16,384 bytes before AUTH.</summary>
    UnauthenticatedBulkLength,
}

/// <summary>One argument of a command.</summary>
/// <param name="Offset">First byte in the buffer; -1 when the argument was taken, see <see cref="RespReader.TakeBulk"/>.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct RespArgument(int Offset, int Length)
{
    /// <summary>True when the caller received the bytes to a place of its own.</summary>
    public bool IsTaken => Offset < 0;

    /// <summary>The bytes.</summary>
    /// <param name="buffer">The buffer that was read.</param>
    public ReadOnlySpan<byte> In(ReadOnlySpan<byte> buffer) => buffer.Slice(Offset, Length);
}
