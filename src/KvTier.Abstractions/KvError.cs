using System.Globalization;

namespace KvTier;

/// <summary>Kinds of error that a caller can act on. The numbers are part of the wire protocol.</summary>
public enum ErrorCode : ushort
{
    /// <summary>No error.</summary>
    None = 0,

    /// <summary>A field has a value it can't have.</summary>
    InvalidArgument = 1,

    /// <summary>A field is above its limit.</summary>
    LimitExceeded = 2,

    /// <summary>The namespace is registered with another profile.</summary>
    NamespaceMismatch = 3,

    /// <summary>No such namespace is registered, or the handle is not of this connection.</summary>
    NamespaceUnknown = 4,

    /// <summary>Host memory is full of blocks that may not be evicted (leased, pinned, or not yet in the log).</summary>
    HostFull = 5,

    /// <summary>The disk or the SSD byte cap has no room for a durable write.</summary>
    DiskFull = 6,

    /// <summary>The deadline passed first.</summary>
    DeadlineExceeded = 7,

    /// <summary>A lease or reservation is unknown, was given back or has expired.</summary>
    LeaseExpired = 8,

    /// <summary>Token missing or wrong, or another user's process.</summary>
    Unauthorized = 9,

    /// <summary>The silo is draining and takes no new work.</summary>
    ShuttingDown = 10,

    /// <summary>Bytes on the wire do not follow the protocol; the connection is closed.</summary>
    ProtocolViolation = 11,

    /// <summary>The peer speaks another version of the protocol, or the data another version of the format.</summary>
    VersionMismatch = 12,

    /// <summary>Bytes failed their check.</summary>
    Corrupt = 13,

    /// <summary>The silo was not set up for this.</summary>
    Unsupported = 14,

    /// <summary>Too many connections, requests in flight, leases or reservations.</summary>
    Busy = 15,

    /// <summary>A read or write of the disk failed.</summary>
    IoError = 16,

    /// <summary>The connection to the silo is lost or could not be made.</summary>
    Unavailable = 17,

    /// <summary>Something that should not happen did.</summary>
    Internal = 18,

    /// <summary>Another silo owns what was asked for: its name is the value, the epoch is the limit.</summary>
    Moved = 19,

    /// <summary>The silo can't show that it still is the owner (its lease has run out, or the sender's epoch is an old one); nothing was
    /// changed.</summary>
    Fenced = 20,

    /// <summary>Another change came first; look again and decide anew.</summary>
    Conflict = 21,
}

/// <summary>
/// An expected failure, as a value: what was wrong (field and value) and what would be right (limit).
/// </summary>
/// <param name="Code">What kind of failure.</param>
/// <param name="Field">The option, argument or wire field it is about.</param>
/// <param name="Value">The value that was refused.</param>
/// <param name="Limit">The limit, or the value that would have been right.</param>
public sealed record KvError(ErrorCode Code, string Field, string Value = "", string Limit = "")
{
    /// <summary>The error as one sentence.</summary>
    public string Message =>
        $"{Code}: {Field}{(Value.Length > 0 ? $" is {Value}" : "")}{(Limit.Length > 0 ? $"; allowed: {Limit}" : "")}";

    /// <summary>A field has a value it can't have.</summary>
    public static KvError InvalidArgument(string field, object? value, string limit) =>
        new(ErrorCode.InvalidArgument, field, Text(value), limit);

    /// <summary>A field is above its limit.</summary>
    public static KvError LimitExceeded(string field, object? value, object limit) =>
        new(ErrorCode.LimitExceeded, field, Text(value), Text(limit));

    /// <inheritdoc/>
    public override string ToString() => Message;

    private static string Text(object? value) => value switch
    {
        null => "missing",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };
}

/// <summary>
/// A <see cref="KvError"/> thrown where the language leaves no other way: misuse, a broken environment, or a client call whose
/// signature returns the result itself.
/// </summary>
public sealed class KvException : Exception
{
    /// <summary>Wraps an error.</summary>
    public KvException(KvError error)
        : base(error.Message) => Error = error;

    /// <summary>Wraps an error and what caused it.</summary>
    public KvException(KvError error, Exception inner)
        : base(error.Message, inner) => Error = error;

    /// <summary>The error.</summary>
    public KvError Error { get; }
}
