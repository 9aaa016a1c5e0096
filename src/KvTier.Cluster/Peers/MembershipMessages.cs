using KvTier.Protocol;

namespace KvTier.Cluster;

/// <summary>Operations of membership between silos. The numbers are part of the wire protocol.</summary>
public static class MembershipOps
{
    /// <summary>While the engine is away: "have we the same newest map, and am I in it?"</summary>
    public const ushort Confirm = PeerOps.Membership;

    /// <summary>"Which epoch have you?", asked by a silo that owns groups newly; its own epoch stands in the message.</summary>
    public const ushort Acknowledge = PeerOps.Membership + 1;

    /// <summary>"I am about to join": from now on the receiver asks the sender too before it relies on confirmations.</summary>
    public const ushort Meet = PeerOps.Membership + 2;

    /// <summary>The last operation of membership.</summary>
    public const ushort Last = PeerOps.Blocks - 1;
}

/// <summary>
/// The body of every request and answer of membership: <c>[number u]</c>. What the number means depends on the operation.
/// </summary>
/// <remarks>
/// Confirm: the epoch in which the sender joined; answered with the ms for which the word counts, 0 for a refusal. Acknowledge: 0; answered
/// with the ms for which words that were given may still be counted on. Meet: a revision at which the sender was registered; answered with
/// 0.
/// </remarks>
internal static class MembershipBody
{
    /// <summary>Longest time in a body: a day.</summary>
    private const long MsMax = 24 * 3600 * 1000L;

    /// <summary>Writes a number.</summary>
    public static byte[] Write(long number)
    {
        using var buffer = new FrameBuffer(16);
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(1);
        writer.Write((ulong)number);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Writes a time, rounded up to ms.</summary>
    public static byte[] Write(TimeSpan time) => Write((long)Math.Min(MsMax, Math.Ceiling(time.TotalMilliseconds)));

    /// <summary>Reads a number; elements that a later version may add are skipped.</summary>
    public static Result<long> Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessagePackReader(body);
        int count = reader.ReadArrayHeader();
        ulong number = reader.ReadUInt64();
        for (int i = 1; i < count && reader.IsOk; i++) reader.Skip();
        bool right = count >= 1 && reader.End && number <= long.MaxValue;
        return right ? (long)number : new KvError(ErrorCode.ProtocolViolation, "peer.membership", $"{body.Length} bytes", "[number]");
    }

    /// <summary>Reads a time.</summary>
    public static Result<TimeSpan> ReadTime(ReadOnlySpan<byte> body)
    {
        if (!Read(body).TryGet(out long ms, out KvError? error)) return error;
        return ms <= MsMax ? TimeSpan.FromMilliseconds(ms) : KvError.LimitExceeded("peer.membership", ms, MsMax);
    }
}
