namespace KvTier.Protocol.Zmtp;

/// <summary>What became of reading a part of ZMTP.</summary>
public enum ZmtpStatus : byte
{
    /// <summary>It was read.</summary>
    Ok,

    /// <summary>More bytes are needed.</summary>
    Incomplete,

    /// <summary>The peer speaks something else.</summary>
    NotZmtp,

    /// <summary>The peer speaks a ZMTP older than 3.0.</summary>
    OldVersion,

    /// <summary>A flag is set that ZMTP 3 does not know, or a name is cut short.</summary>
    Malformed,

    /// <summary>A frame is longer than allowed.</summary>
    TooLong,
}

/// <summary>The 64 bytes with which both ends of a ZMTP 3 connection begin.</summary>
/// <param name="Minor">Minor version: 0 or 1.</param>
/// <param name="Mechanism">Such as <c>NULL</c> or <c>PLAIN</c>.</param>
/// <param name="AsServer">True when the sender is the server of the mechanism.</param>
public readonly record struct ZmtpGreeting(byte Minor, string Mechanism, bool AsServer)
{
    /// <summary>Bytes of a greeting.</summary>
    public const int SizeBytes = 64;

    /// <summary>The major version that is spoken here.</summary>
    public const byte Major = 3;

    private const int MajorAt = 10;
    private const int MinorAt = 11;
    private const int MechanismAt = 12;
    private const int MechanismBytes = 20;
    private const int AsServerAt = 32;
    private const int SignatureEnd = 9;

    /// <summary>Writes the greeting.</summary>
    public void Write(Span<byte> destination)
    {
        destination[..SizeBytes].Clear();
        destination[0] = 0xFF;
        destination[SignatureEnd] = 0x7F;
        destination[MajorAt] = Major;
        destination[MinorAt] = Minor;
        System.Text.Encoding.ASCII.GetBytes(Mechanism, destination.Slice(MechanismAt, MechanismBytes));
        destination[AsServerAt] = AsServer ? (byte)1 : (byte)0;
    }

    /// <summary>Reads a greeting; what can't become one is told from its first byte on.</summary>
    public static ZmtpStatus TryRead(ReadOnlySpan<byte> source, out ZmtpGreeting greeting)
    {
        greeting = default;
        if (source.Length > 0 && source[0] != 0xFF) return ZmtpStatus.NotZmtp;
        if (source.Length > SignatureEnd && (source[SignatureEnd] & 1) == 0) return ZmtpStatus.NotZmtp;
        if (source.Length > MajorAt && source[MajorAt] < Major) return ZmtpStatus.OldVersion;
        if (source.Length < SizeBytes) return ZmtpStatus.Incomplete;
        ReadOnlySpan<byte> mechanism = source.Slice(MechanismAt, MechanismBytes);
        int end = mechanism.IndexOf((byte)0);
        if (end < 0) end = MechanismBytes;
        foreach (byte letter in mechanism[..end])
        {
            if (letter is < 0x21 or > 0x7E) return ZmtpStatus.NotZmtp;
        }

        greeting = new ZmtpGreeting(
            source[MajorAt] > Major ? (byte)1 : source[MinorAt], System.Text.Encoding.ASCII.GetString(mechanism[..end]),
            (source[AsServerAt] & 1) != 0);
        return ZmtpStatus.Ok;
    }
}
