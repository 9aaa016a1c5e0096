using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using KvTier.Protocol.Zmtp;

namespace KvTier.Silo.Events;

/// <summary>One side of a ZMTP 3 connection: the handshake as a server, then frames. One reader and one writer at a time.</summary>
/// <param name="socket">The connection; owned by the caller.</param>
/// <param name="role">What it is for.</param>
internal sealed class ZmtpSession(Socket socket, ZmtpRole role)
{
    /// <summary>Longest frame that a peer may send: a subscription, a heartbeat, a request.</summary>
    public const int FrameBytesMax = 8192;

    private readonly byte[] buffer = new byte[ZmtpFrame.HeadBytesMax + FrameBytesMax];
    private int start, end;

    /// <summary>Body of the frame that was read last; valid until the next read.</summary>
    public ReadOnlyMemory<byte> Body { get; private set; }

    /// <summary>Socket type of the peer; known after the handshake.</summary>
    public string PeerType { get; private set; } = "";

    /// <summary>Why the last read failed; null when the peer has closed.</summary>
    public string? Violation { get; private set; }

    /// <summary>Agrees with the peer on version, mechanism and socket types.</summary>
    /// <returns>Null, or why not.</returns>
    public async ValueTask<string?> HandshakeAsync(CancellationToken cancellation)
    {
        var greeting = new byte[ZmtpGreeting.SizeBytes];
        new ZmtpGreeting(1, role.Mechanism, AsServer: role.IsPlain).Write(greeting);
        await SendAsync(greeting, cancellation);
        ZmtpStatus status;
        ZmtpGreeting theirs;
        while ((status = ZmtpGreeting.TryRead(buffer.AsSpan(start, end - start), out theirs)) == ZmtpStatus.Incomplete)
        {
            if (!await FillAsync(cancellation)) return end == start ? "closed without a word" : "closed within the greeting";
        }

        if (status != ZmtpStatus.Ok) return Explain(status);
        start += ZmtpGreeting.SizeBytes;
        if (theirs.Mechanism != role.Mechanism)
            return $"its security mechanism is {theirs.Mechanism}, wanted is {role.Mechanism}{(role.IsPlain ? " (events.user)" : "")}";
        return role.IsPlain ? await PlainAsync(cancellation) : await NullAsync(cancellation);
    }

    /// <summary>Reads a frame.</summary>
    /// <returns>Its flags; null when the peer has closed or <see cref="Violation"/> says what is wrong.</returns>
    public async ValueTask<ZmtpFlags?> ReadAsync(CancellationToken cancellation)
    {
        ZmtpFrame frame;
        ZmtpStatus status;
        while ((status = ZmtpFrame.TryRead(buffer.AsSpan(start, end - start), FrameBytesMax, out frame)) == ZmtpStatus.Incomplete)
        {
            if (!await FillAsync(cancellation)) return null;
        }

        if (status != ZmtpStatus.Ok)
        {
            Violation = Explain(status);
            return null;
        }

        start += frame.HeadBytes;
        while (end - start < frame.Length)
        {
            if (!await FillAsync(cancellation)) return null;
        }

        Body = buffer.AsMemory(start, frame.Length);
        start += frame.Length;
        return frame.Flags;
    }

    /// <summary>Sends bytes.</summary>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (!bytes.IsEmpty) bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, cancellation)..];
    }

    /// <summary>The answer to a heartbeat; null for another command.</summary>
    public static byte[]? AnswerOf(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        const int ttlBytes = 2, contextMax = 16;
        if (!name.SequenceEqual("PING"u8) || data.Length < ttlBytes) return null;
        ReadOnlySpan<byte> context = data[ttlBytes..];
        return ZmtpCommand.Make("PONG"u8, context[..Math.Min(context.Length, contextMax)]);
    }

    private async ValueTask<string?> NullAsync(CancellationToken cancellation)
    {
        await SendAsync(ZmtpCommand.Ready(role.SocketType), cancellation);
        (string? error, byte[] properties) = await ReadCommandAsync("READY", cancellation);
        return error ?? CheckPeer(properties);
    }

    private async ValueTask<string?> PlainAsync(CancellationToken cancellation)
    {
        (string? error, byte[] data) = await ReadCommandAsync("HELLO", cancellation);
        if (error is not null) return error;
        bool isRight = ZmtpCommand.TryReadPlain(data, out string user, out string password)
            && Same(user, role.User!) & Same(password, role.Password!);
        if (!isRight)
        {
            await SendAsync(ZmtpCommand.Error("Invalid credentials"), cancellation);
            return "its user or password is wrong";
        }

        await SendAsync(ZmtpCommand.Make("WELCOME"u8, []), cancellation);
        (error, data) = await ReadCommandAsync("INITIATE", cancellation);
        if ((error ?? CheckPeer(data)) is { } refused) return refused;
        await SendAsync(ZmtpCommand.Ready(role.SocketType), cancellation);
        return null;
    }

    private async ValueTask<(string? Error, byte[] Data)> ReadCommandAsync(string wanted, CancellationToken cancellation)
    {
        if (await ReadAsync(cancellation) is not { } flags) return (Violation ?? "closed within the handshake", []);
        if ((flags & ZmtpFlags.Command) == ZmtpFlags.None) return ($"a message came where {wanted} was due", []);
        if (!ZmtpCommand.TryRead(Body.Span, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> data))
            return ("a command without a name", []);
        return name.SequenceEqual(Encoding.ASCII.GetBytes(wanted))
            ? (null, data.ToArray())
            : ($"{Encoding.ASCII.GetString(name)} came where {wanted} was due", []);
    }

    private string? CheckPeer(byte[] properties)
    {
        if (!ZmtpCommand.TryFind(properties, "Socket-Type", out string type)) return "its properties are malformed";
        PeerType = type;
        return role.Peers.Contains(type, StringComparer.Ordinal)
            ? null
            : $"it is a {(type.Length == 0 ? "socket of no type" : type)}, wanted is {string.Join(" or ", role.Peers)}";
    }

    private async ValueTask<bool> FillAsync(CancellationToken cancellation)
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            end -= start;
            start = 0;
        }

        int count = await socket.ReceiveAsync(buffer.AsMemory(end), SocketFlags.None, cancellation);
        end += count;
        return count > 0;
    }

    private static bool Same(string left, string right) =>
        CryptographicOperations.FixedTimeEquals(
            SHA256.HashData(Encoding.UTF8.GetBytes(left)), SHA256.HashData(Encoding.UTF8.GetBytes(right)));

    private static string Explain(ZmtpStatus status) => status switch
    {
        ZmtpStatus.NotZmtp => "it does not speak ZMTP, the protocol of ZeroMQ",
        ZmtpStatus.OldVersion => "it speaks a ZMTP older than 3.0 (ZeroMQ before 4.0)",
        ZmtpStatus.TooLong => $"a frame longer than {FrameBytesMax} bytes",
        _ => "a frame with flags that ZMTP 3 does not know",
    };
}

/// <summary>What a listener is for.</summary>
/// <param name="SocketType">The type that it shows: <c>PUB</c> or <c>ROUTER</c>.</param>
/// <param name="Peers">Types that may connect.</param>
/// <param name="User">Name that peers must show; null for none.</param>
/// <param name="Password">Its password.</param>
internal sealed record ZmtpRole(string SocketType, string[] Peers, string? User, string? Password)
{
    /// <summary>True when peers must show name and password.</summary>
    public bool IsPlain => User is not null;

    /// <summary>Name of the security mechanism.</summary>
    public string Mechanism => IsPlain ? "PLAIN" : "NULL";

    /// <summary>A publisher.</summary>
    public static ZmtpRole Publisher(EventSettings settings) => new("PUB", ["SUB", "XSUB"], settings.User, settings.Password);

    /// <summary>One that answers requests for replay.</summary>
    public static ZmtpRole Replay(EventSettings settings) =>
        new("ROUTER", ["DEALER", "REQ", "ROUTER"], settings.User, settings.Password);
}
