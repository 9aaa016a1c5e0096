namespace KvTier.Silo.Resp;

/// <summary>What bounds one RESP connection and the listener. Sizes in bytes, times in ms.</summary>
internal sealed record RespLimits
{
    /// <summary>Most connections at one time. Default 1,024.</summary>
    public int ConnectionsMax { get; init; } = 1024;

    /// <summary>Longest key that can be stored. Default 512.</summary>
    public int KeyBytesMax { get; init; } = 512;

    /// <summary>Largest value. Default 64 MiB.</summary>
    public int ValueBytesMax { get; init; } = 64 << 20;

    /// <summary>Largest bulk string that the framing accepts, as Redis' <c>proto-max-bulk-len</c>; above it the connection is closed.
    /// Default 512 MiB.</summary>
    public long BulkBytesMax { get; init; } = 512L << 20;

    /// <summary>Most arguments of a command. Default 1,048,576.</summary>
    public int ArgumentsMax { get; init; } = 1024 * 1024;

    /// <summary>Longest inline command, and longest count line. Default 64 KiB, which is Redis' limit.</summary>
    public int LineBytesMax { get; init; } = 64 * 1024;

    /// <summary>Largest argument that is kept in the connection's buffer; a longer one that is not a value is read and dropped. Default
    /// 16 MiB.</summary>
    public int ArgumentBytesMax { get; init; } = 16 << 20;

    /// <summary>Most bytes of one command in the connection's buffer, values that go to the arena not counted. Default 64 MiB.</summary>
    public int QueryBytesMax { get; init; } = 64 << 20;

    /// <summary>
    /// Most bytes of host memory that MGETs lease ahead of sending them, over all connections. Default 0: a quarter of host memory.
    /// </summary>
    public long HeldBytesMax { get; init; }

    /// <summary>Bytes that the system is asked to buffer for a connection in each direction, so that a value of a MiB leaves or arrives
    /// without a pause. Default 4 MiB; 0 leaves it to the system.</summary>
    public int SocketBufferBytes { get; init; } = 4 << 20;

    /// <summary>Longest that a client may stop inside a command or leave a reply unread. Default 30,000.</summary>
    public int StallMs { get; init; } = 30_000;

    /// <summary>Longest that a read of the SSD tier may take. Default 30,000.</summary>
    public int ReadMs { get; init; } = 30_000;

    /// <summary>Longest that a put waits for room. Default 10,000.</summary>
    public int RoomMs { get; init; } = 10_000;

    /// <summary>Values above this many bytes are received straight into the arena. It equals the largest bulk of a client that has not
    /// shown its password yet, so that such a client never reserves a slot.</summary>
    public const int DirectBytesMin = 16 * 1024;

    /// <summary>First size of the receive buffer, and the size to which it returns after a long command.</summary>
    public const int ReceiveBytes = 64 * 1024;

    /// <summary>
    /// Values up to this many bytes are copied behind one another into the reply buffer; larger ones are sent from the arena.
    /// </summary>
    public const int CopyBytesMax = 16 * 1024;

    /// <summary>Replies are sent when this many bytes have gathered, even when more commands wait.</summary>
    public const int FlushBytes = 64 * 1024;
}
