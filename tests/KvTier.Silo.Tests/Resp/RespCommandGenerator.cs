using System.Globalization;
using System.Text;

namespace KvTier.Silo.Tests.Resp;

/// <summary>
/// Random commands from one seed: few keys, so that hits, overwrites and deletions happen; every option; wrong arities and bad numbers.
/// </summary>
internal sealed class RespCommandGenerator(int seed)
{
    private static readonly string[] numbers =
    [
        "0", "1", "-1", "2", "5", "-5", "100", "1000", "3", "-3", "99999", "x", "", "1.5", " 1", "01", "+1", "-0", "9223372036854775807",
        "9223372036854775808", "-9223372036854775808", "9223372036854775", "9223372036854776", "-9223372036854775", "18446744073709551615",
    ];

    private static readonly string[] unknown =
        ["FOO", "", "GETS", "se t", "get\r\nx", "CLIENT|ID", "config|get", "a\nb", "\u00ff\u0080", "ping\0", "get\0", new string('z', 150)];

    private readonly Random random = new(seed);
    private readonly byte[][] keys = MakeKeys(seed);

    /// <summary>The next command.</summary>
    public byte[][] Next()
    {
        byte[][] command = Draw().ToArray();
        int dice = random.Next(100);
        if (dice < 3 && command.Length > 1) return command[..^1];
        if (dice < 5) return [.. command, Value()];
        if (dice < 6) return [.. command, .. command[1..]];
        return command;
    }

    private IEnumerable<byte[]> Draw()
    {
        switch (random.Next(40))
        {
            case 0: return Words("PING");
            case 1: return [.. Words("ECHO"), Value()];
            case 2: return [.. Words("SELECT"), One("0", "1", "15", "16", "-1", "x", "2147483648", "0", "0", "0")];
            case 3 or 4 or 5 or 6: return [.. Words("GET"), Key()];
            case 7 or 8 or 9 or 10 or 11 or 12: return Set();
            case 13: return [.. Words("SETEX"), Key(), Seconds(), Value()];
            case 14: return [.. Words("PSETEX"), Key(), Milliseconds(), Value()];
            case 15: return [.. Words("SETNX"), Key(), Value()];
            case 16 or 17: return [.. Words("MGET"), .. Keys()];
            case 18 or 19: return [.. Words("MSET"), .. Keys().SelectMany(key => new[] { key, Value() })];
            case 20: return [.. Words("EXISTS"), .. Keys()];
            case 21 or 22: return [.. Words(Pick("DEL", "UNLINK")), .. Keys()];
            case 23: return [.. Words("STRLEN"), Key()];
            case 24 or 25: return [.. Words("GETRANGE"), Key(), Number(), Number()];
            case 26: return [.. Words(Pick("TTL", "PTTL")), Key()];
            case 27 or 28 or 29: return Expire();
            case 30: return [.. Words("PERSIST"), Key()];
            case 31: return [.. Words("TYPE"), Key()];
            case 32: return Words("DBSIZE");
            case 33: return Scan();
            case 34: return Client();
            case 35: return Server();
            case 36: return random.Next(10) == 0 ? Flush() : [.. Words("GET"), Key()];
            case 37: return [One(unknown), .. Keys()];
            case 38: return random.Next(3) == 0 ? Hello() : Auth();
            default: return [.. Words(Pick("get", "GeT", "strlen")), Key()];
        }
    }

    private List<byte[]> Set()
    {
        List<byte[]> command = [.. Words(Pick("SET", "set", "Set")), Key(), Value()];
        int options = random.Next(4);
        for (int i = 0; i < options; i++)
        {
            string option = Pick("NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT", "nx", "xx", "get", "ex", "px", "keepttl",
                "junk", "PERSIST");
            command.Add(Encoding.ASCII.GetBytes(option));
            switch (option)
            {
                case "EX" or "ex": command.Add(Seconds()); break;
                case "PX" or "px": command.Add(Milliseconds()); break;
                case "EXAT": command.Add(At(1)); break;
                case "PXAT": command.Add(At(1000)); break;
            }
        }

        return command;
    }

    private List<byte[]> Expire()
    {
        bool seconds = random.Next(2) == 0;
        List<byte[]> command = [.. Words(seconds ? "EXPIRE" : "PEXPIRE"), Key(), seconds ? Seconds() : Milliseconds()];
        int options = random.Next(3);
        for (int i = 0; i < options; i++) command.Add(One("NX", "XX", "GT", "LT", "nx", "gt", "junk", "a\r\nb"));
        return command;
    }

    private List<byte[]> Scan()
    {
        // Only errors and the whole walk can be compared; the test makes the latter.
        return [.. Words("SCAN"), One("x", "0", "1 ", "-", "99999999999999999999"), One("COUNT", "MATCH", "TYPE", "junk"), One("0", "x",
            "-1")];
    }

    private byte[][] Client() => random.Next(11) switch
    {
        0 => [.. Words("CLIENT GETNAME")],
        1 or 2 => [.. Words("CLIENT SETNAME"), One("a", "name", "", "a b", "a\nb", "\u00ff")],
        3 => [.. Words("CLIENT REPLY"), One("ON", "x")],
        4 => [.. Words("CLIENT NO-EVICT"), One("on", "OFF", "x")],
        5 => [.. Words("CLIENT"), One("junk", "", "a\r\nb")],
        6 => [.. Words("CLIENT LIST"), One("TYPE", "ID", "junk"), One("junk", "pubsub", "x", "99999999")],
        7 => [.. Words("CLIENT ID"), Value()],
        8 => [.. Words("CLIENT SETINFO lib-name x")],
        9 => [.. Words("CLIENT NO-TOUCH on")],
        _ => [.. Words("CLIENT")],
    };

    private byte[][] Server() => random.Next(9) switch
    {
        0 => [.. Words("CONFIG GET"), One("save", "appendonly", "nothing", "databases", "SAVE", "sav?", "[st]ave", "timeout")],
        1 => [.. Words("CONFIG")],
        2 => [.. Words("CONFIG"), One("junk", "GET", "get", "SET")],
        3 => [.. Words("CONFIG SET junk 1")],
        4 => [.. Words("COMMAND"), One("junk", "COUNT", "INFO"), One("nothing")],
        5 => [.. Words("INFO nothing")],
        6 => [.. Words("RESET")],
        7 => [.. Words("RANDOMKEY x")],
        _ => [.. Words("DBSIZE x")],
    };

    private byte[][] Flush() => [.. Words(Pick("FLUSHDB", "FLUSHALL", "flushdb")), .. Words(Pick("", "ASYNC", "SYNC", "junk",
        "async junk"))];

    private byte[][] Auth() => random.Next(4) switch
    {
        0 => [.. Words("AUTH"), Value()],
        1 => [.. Words("AUTH default"), Value()],
        2 => [.. Words("AUTH nobody"), Value()],
        _ => [.. Words("AUTH a b c")],
    };

    private byte[][] Hello() =>
        [.. Words("HELLO"), One("1", "4", "x", "", "9223372036854775808"), .. Words(Pick("", "AUTH a b", "SETNAME x", "junk"))];

    private byte[] Key() => keys[random.Next(keys.Length)];

    private byte[][] Keys() => [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => Key())];

    private byte[] Value()
    {
        int length = random.Next(20) switch
        {
            < 12 => random.Next(0, 64),
            < 16 => random.Next(0, 5000),
            < 19 => random.Next(16_000, 17_000),
            _ => random.Next(0, 300_000),
        };
        byte[] value = new byte[length];
        random.NextBytes(value);
        return value;
    }

    private byte[] Number() => random.Next(3) == 0
        ? One(numbers)
        : Text(random.Next(-80, 80));

    /// <summary>
    /// A time to live: never so short that it may run out on one side only, and seldom the same twice, because <c>EXPIRE … GT</c> of a
    /// time that was given a moment ago depends on whether the clock's millisecond has changed since.
    /// </summary>
    private byte[] Seconds() => random.Next(4) == 0 ? One("0", "-1", "x", "", "9223372036854775807", "9223372036854775",
        "-9223372036854775808", "-100")
        : Text(random.Next(100, 100_000));

    private byte[] Milliseconds() => random.Next(4) == 0 ? One("0", "-1", "x", "9223372036854775807", "-9223372036854775808")
        : Text(random.Next(100_000, 100_000_000));

    private byte[] At(long unit) => random.Next(4) == 0
        ? One("1", "0", "-1", "x", "9223372036854775808")
        : Encoding.ASCII.GetBytes((4_000_000_000L * unit).ToString(CultureInfo.InvariantCulture));

    private static byte[] Text(int number) => Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture));

    private byte[] One(params string[] words) => Encoding.Latin1.GetBytes(words[random.Next(words.Length)]);

    private string Pick(params string[] words) => words[random.Next(words.Length)];

    private static byte[][] Words(string words) => [.. words.Split(' ',
        StringSplitOptions.RemoveEmptyEntries).Select(Encoding.Latin1.GetBytes)];

    private static byte[][] MakeKeys(int seed)
    {
        var lengths = new Random(seed);
        byte[][] made = new byte[12][];
        for (int i = 0; i < made.Length; i++)
        {
            made[i] = new byte[i == 0 ? 0 : i == 1 ? 512 : lengths.Next(1, 40)];
            lengths.NextBytes(made[i]);
        }

        return made;
    }
}
