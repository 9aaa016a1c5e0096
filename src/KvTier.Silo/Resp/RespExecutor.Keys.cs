using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Resp;

/// <summary>Commands on keys.</summary>
internal sealed partial class RespExecutor
{
    /// <summary>Keys that one step of SCAN asks for.</summary>
    private const int ScanStep = 256;

    /// <summary>Bytes of keys after which SCAN returns with fewer keys than it was asked for.</summary>
    private const int ScanBytesMax = 1 << 20;

    /// <summary>Steps of a SCAN that finds nothing, after which it returns all the same.</summary>
    private const int ScanStepsMax = 64;

    private void Exists()
    {
        long found = 0;
        lock (server.Gate)
        {
            for (int i = 1; i < Count; i++)
            {
                if (IsHere(Engine.Describe(Namespace, Id(i)))) found++;
            }
        }

        output.Integer(found);
    }

    private void Del()
    {
        long deleted = 0;
        lock (server.Gate)
        {
            for (int i = 1; i < Count; i++)
            {
                if (Engine.Delete(Namespace, Id(i))) deleted++;
            }
        }

        output.Integer(deleted);
    }

    private void StrLen()
    {
        BlockInfo info = Engine.Describe(Namespace, Id(1));
        output.Integer(IsHere(info) ? info.Length : 0);
    }

    private void Type() => output.Raw(IsHere(Engine.Describe(Namespace, Id(1))) ? "+string\r\n"u8 : "+none\r\n"u8);

    private void Ttl(bool seconds)
    {
        BlockInfo info;
        lock (server.Gate) info = Engine.Describe(Namespace, Id(1));
        if (!IsHere(info)) output.Integer(-2);
        else if (info.ExpiryUnixMs == 0) output.Integer(-1);
        else
        {
            long left = Math.Max(0, info.ExpiryUnixMs - server.NowUnixMs);
            output.Integer(seconds ? (left + 500) / 1000 : left);
        }
    }

    private void Persist()
    {
        bool changed;
        lock (server.Gate)
        {
            BlockId id = Id(1);
            BlockInfo info = Engine.Describe(Namespace, id);
            changed = IsHere(info) && info.ExpiryUnixMs != 0 && Engine.SetExpiry(Namespace, id, 0);
        }

        output.Integer(changed ? 1 : 0);
    }

    private void Expire(RespCommand command)
    {
        if (!TryReadExpireOptions(out bool nx, out bool xx, out bool gt, out bool lt)) return;
        if (!RespNumber.TryParse(Arg(2), out long when))
        {
            output.NotAnInteger();
            return;
        }

        long now = server.NowUnixMs;
        bool seconds = command.Verb == RespVerb.Expire;
        if ((seconds && when is > long.MaxValue / 1000 or < long.MinValue / 1000 && seconds) || (seconds ? when * 1000
            : when) > long.MaxValue - now)
        {
            InvalidExpireTime(command.Name);
            return;
        }

        when = (seconds ? when * 1000 : when) + now;
        bool changed;
        lock (server.Gate) changed = SetExpiry(when, now, nx, xx, gt, lt);
        output.Integer(changed ? 1 : 0);
    }

    private bool SetExpiry(long when, long now, bool nx, bool xx, bool gt, bool lt)
    {
        BlockId id = Id(1);
        BlockInfo info = Engine.Describe(Namespace, id);
        if (!IsHere(info)) return false;
        long current = info.ExpiryUnixMs;
        if (nx && current != 0) return false;
        if (xx && current == 0) return false;

        // A key that does not expire counts as one that expires at the end of time.
        if (gt && (current == 0 || when <= current)) return false;
        if (lt && current != 0 && when >= current) return false;
        return when <= now ? Engine.Delete(Namespace, id) : Engine.SetExpiry(Namespace, id, when);
    }

    private bool TryReadExpireOptions(out bool nx, out bool xx, out bool gt, out bool lt)
    {
        nx = xx = gt = lt = false;
        for (int i = 3; i < Count; i++)
        {
            ReadOnlySpan<byte> option = Arg(i);
            if (RespText.Is(option, "nx"u8)) nx = true;
            else if (RespText.Is(option, "xx"u8)) xx = true;
            else if (RespText.Is(option, "gt"u8)) gt = true;
            else if (RespText.Is(option, "lt"u8)) lt = true;
            else
            {
                output.Error($"ERR Unsupported option {Line(option)}");
                return false;
            }
        }

        if (nx && (xx || gt || lt))
        {
            output.Error("ERR NX and XX, GT or LT options at the same time are not compatible");
            return false;
        }

        if (!gt || !lt) return true;
        output.Error("ERR GT and LT options at the same time are not compatible");
        return false;
    }

    private void InvalidExpireTime(string command) => output.Error($"ERR invalid expire time in '{command}' command");

    private void RandomKey()
    {
        Span<byte> key = stackalloc byte[server.Limits.KeyBytesMax];
        while (Engine.TryPickRandom(Namespace, out BlockId id))
        {
            // A key that goes between the two calls is a reason to pick another.
            int length = Engine.CopyKey(Namespace, id, key);
            if (length < 0) continue;
            output.Bulk(key[..length]);
            return;
        }

        output.Null();
    }

    private void Flush(bool all)
    {
        if (Count > 2 || (Count == 2 && !RespText.Is(Arg(1), "sync"u8) && !RespText.Is(Arg(1), "async"u8)))
        {
            output.SyntaxError();
            return;
        }

        lock (server.Gate)
        {
            if (!all) Engine.Clear(Namespace);
            for (int db = 0; all && db < RespServer.Databases; db++) Engine.Clear(server.Namespace(db));
        }

        output.Ok();
    }

    private void Scan()
    {
        if (!RespCursor.TryParse(Arg(1), out ulong cursor))
        {
            output.Error("ERR invalid cursor");
            return;
        }

        int match = 0;
        long count = 10;
        bool strings = true;
        bool typed = false;
        for (int i = 2; i < Count; i += 2)
        {
            bool hasNext = i + 1 < Count;
            if (hasNext && RespText.Is(Arg(i), "count"u8))
            {
                if (!RespNumber.TryParse(Arg(i + 1), out count))
                {
                    output.NotAnInteger();
                    return;
                }

                if (count < 1) hasNext = false;
            }
            else if (hasNext && RespText.Is(Arg(i), "match"u8)) match = i + 1;
            else if (hasNext && !typed && RespText.Is(Arg(i), "type"u8)) (typed, strings) = (true, RespText.Is(Arg(i + 1), "string"u8));
            else hasNext = false;
            if (hasNext) continue;
            output.SyntaxError();
            return;
        }

        Walk(cursor > long.MaxValue ? long.MaxValue : (long)cursor, count, match, strings);
    }

    private void Walk(long cursor, long count, int match, bool strings)
    {
        Span<BlockId> ids = stackalloc BlockId[ScanStep];
        Span<byte> key = stackalloc byte[server.Limits.KeyBytesMax];
        using var keys = new RespList();
        long seen = 0;
        int steps = 0;
        do
        {
            cursor = Engine.Scan(Namespace, cursor, ids[..(int)Math.Min(ScanStep, count - seen)], out int found);
            seen += found;
            steps++;
            for (int i = 0; i < found; i++)
            {
                int length = Engine.CopyKey(Namespace, ids[i], key);
                if (length < 0 || !strings) continue;
                if (match == 0 || RespGlob.IsMatch(Arg(match), key[..length])) keys.Add(key[..length]);
            }
        }
        while (cursor != 0 && seen < count && keys.Length < ScanBytesMax && steps < ScanStepsMax);

        output.ArrayHead(2);
        output.Bulk(cursor.ToString(System.Globalization.CultureInfo.InvariantCulture));
        output.ArrayHead(keys.Count);
        output.Raw(keys.Bytes);
    }

    private static bool IsHere(in BlockInfo info) => info.Reason == MissReason.None;

    /// <summary>An argument inside a formatted error: cut at a NUL, line ends at its ends dropped and inside replaced.</summary>
    private static string Line(ReadOnlySpan<byte> argument) => Masked(RespText.CString(argument).TrimEnd("\r\n"u8), int.MaxValue);
}
