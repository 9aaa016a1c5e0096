using KvTier.Protocol;

namespace KvTier.Silo.Resp;

/// <summary>What a SET is to do.</summary>
internal readonly record struct SetPlan
{
    public int Key { get; init; }

    public int Value { get; init; }

    public bool Nx { get; init; }

    public bool Xx { get; init; }

    public bool Get { get; init; }

    public bool KeepTtl { get; init; }

    /// <summary>When the value expires, in ms since 1970; 0 for never.</summary>
    public long ExpiryUnixMs { get; init; }

    /// <summary>True for SETNX, which answers 1 or 0.</summary>
    public bool NumberReply { get; init; }
}

/// <summary>What became of a SET.</summary>
internal enum SetOutcome
{
    Stored,

    /// <summary>NX or XX did not hold.</summary>
    Rejected,

    /// <summary>The reservation was revoked.</summary>
    Lost,
}

/// <summary>Options of SET and its kin.</summary>
internal sealed partial class RespExecutor
{
    private enum TimeKind
    {
        None,
        Ex,
        Px,
        ExAt,
        PxAt,
    }

    private ValueTask SetAsync()
    {
        bool nx = false, xx = false, get = false, keep = false;
        TimeKind kind = TimeKind.None;
        int time = 0;
        for (int i = 3; i < Count; i++)
        {
            ReadOnlySpan<byte> option = Arg(i);
            TimeKind asked = ReadTimeKind(option);
            if (!xx && RespText.Is(option, "nx"u8)) nx = true;
            else if (!nx && RespText.Is(option, "xx"u8)) xx = true;
            else if (RespText.Is(option, "get"u8)) get = true;
            else if (kind == TimeKind.None && RespText.Is(option, "keepttl"u8)) keep = true;
            else if (asked != TimeKind.None && !keep && (kind == TimeKind.None || kind == asked) && i + 1 < Count) (kind, time) = (asked,
                ++i);
            else
            {
                output.SyntaxError();
                return default;
            }
        }

        long expiry = 0;
        if (kind != TimeKind.None && !TryReadExpiry(time, kind, "set", out expiry)) return default;
        return StoreAsync(new SetPlan { Key = 1, Value = 2, Nx = nx, Xx = xx, Get = get, KeepTtl = keep, ExpiryUnixMs = expiry });
    }

    private ValueTask SetExAsync(RespCommand command)
    {
        TimeKind kind = command.Verb == RespVerb.SetEx ? TimeKind.Ex : TimeKind.Px;
        return TryReadExpiry(2, kind, command.Name, out long expiry)
            ? StoreAsync(new SetPlan { Key = 1, Value = 3, ExpiryUnixMs = expiry })
            : default;
    }

    private ValueTask SetNxAsync() => StoreAsync(new SetPlan { Key = 1, Value = 2, Nx = true, NumberReply = true });

    private static TimeKind ReadTimeKind(ReadOnlySpan<byte> option)
    {
        if (RespText.Is(option, "ex"u8)) return TimeKind.Ex;
        if (RespText.Is(option, "px"u8)) return TimeKind.Px;
        if (RespText.Is(option, "exat"u8)) return TimeKind.ExAt;
        return RespText.Is(option, "pxat"u8) ? TimeKind.PxAt : TimeKind.None;
    }

    private bool TryReadExpiry(int index, TimeKind kind, string command, out long unixMs)
    {
        if (!RespNumber.TryParse(Arg(index), out unixMs))
        {
            output.NotAnInteger();
            return false;
        }

        bool seconds = kind is TimeKind.Ex or TimeKind.ExAt;
        if (unixMs > 0 && (!seconds || unixMs <= long.MaxValue / 1000))
        {
            if (seconds) unixMs *= 1000;

            // A sum that wraps is negative, and so refused below.
            if (kind is TimeKind.Ex or TimeKind.Px) unixMs = unchecked(unixMs + server.NowUnixMs);
            if (unixMs > 0) return true;
        }

        InvalidExpireTime(command);
        return false;
    }
}
