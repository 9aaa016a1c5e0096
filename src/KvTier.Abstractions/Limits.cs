namespace KvTier;

/// <summary>
/// The limits of a silo: immutable, set at start, shown by <c>stat</c>, named in the error that refuses what is above them.
/// </summary>
public sealed record Limits
{
    /// <summary>The limits that hold unless options say otherwise.</summary>
    public static Limits Default { get; } = new();

    /// <summary>Longest key in bytes. Default 512, which is also the most the log's record header can hold.</summary>
    public int KeyBytesMax { get; init; } = 512;

    /// <summary>Largest block in bytes. Default 64 MiB, which is also the most.</summary>
    public int BlockBytesMax { get; init; } = 64 << 20;

    /// <summary>Most blocks in one request. Default 4,096.</summary>
    public int BatchBlocksMax { get; init; } = 4096;

    /// <summary>Most bytes of a frame's MessagePack body. Default 4 MiB, room for 4,096 keys of 512 bytes.</summary>
    public int FrameBodyBytesMax { get; init; } = 4 << 20;

    /// <summary>Most bytes of a frame's raw payload. Default 1 GiB.</summary>
    public long FramePayloadBytesMax { get; init; } = 1L << 30;

    /// <summary>Most client connections. Default 1,024.</summary>
    public int ConnectionsMax { get; init; } = 1024;

    /// <summary>Most requests in flight on one connection. Default 256.</summary>
    public int InflightRequestsMax { get; init; } = 256;

    /// <summary>Most read leases that one connection may hold. Default 16,384.</summary>
    public int LeasesMax { get; init; } = 16_384;

    /// <summary>Most reservations that one connection may hold. Default 4,096.</summary>
    public int ReservationsMax { get; init; } = 4096;

    /// <summary>Longest a read lease or reservation may last, in ms. Default 60,000.</summary>
    public int LeaseMsMax { get; init; } = 60_000;

    /// <summary>Longest a pin may last, in ms. Default 86,400,000, a day.</summary>
    public long PinMsMax { get; init; } = 86_400_000;

    /// <summary>Longest deadline a request may ask for, in ms. Default 300,000.</summary>
    public int DeadlineMsMax { get; init; } = 300_000;

    /// <summary>Most namespaces. Default 1,024.</summary>
    public int NamespacesMax { get; init; } = 1024;
}
