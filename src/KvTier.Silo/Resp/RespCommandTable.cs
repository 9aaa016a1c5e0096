using System.Collections.Frozen;

namespace KvTier.Silo.Resp;

/// <summary>Every command, with the figures that Redis 7.0 gives for it.</summary>
internal static class RespCommandTable
{
    private const string Connection = "noscript loading stale fast";
    private const string Container = "noscript loading stale";

    /// <summary>Commands in the order in which COMMAND lists them.</summary>
    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("auth", RespVerb.Auth, -2)
        {
            Flags = "noscript loading stale fast no_auth allow_busy", Categories = "@fast @connection", Group = "connection",
            Summary = "Shows the password", BeforeAuth = true,
        },
        new("client", RespVerb.Client, -2)
        {
            Categories = "@slow", Group = "connection", Summary = "Commands about connections", Subcommands = Client(),
        },
        new("command", RespVerb.Command, -1)
        {
            Flags = "loading stale", Categories = "@slow @connection", Group = "server", Summary = "Describes the commands",
            Subcommands = Command(),
        },
        new("config", RespVerb.Config, -2)
        {
            Categories = "@slow", Group = "server", Summary = "Commands about the configuration", Subcommands = Config(),
        },
        new("dbsize", RespVerb.DbSize, 1)
        {
            Flags = "readonly fast", Categories = "@keyspace @read @fast", Group = "server", Summary = "Counts the keys of the database",
        },
        Keyed("del", RespVerb.Del, -2, "write", "@keyspace @write @slow", "generic", "Deletes keys", last: -1),
        new("echo", RespVerb.Echo, 2)
        {
            Flags = Connection, Categories = "@fast @connection", Group = "connection", Summary = "Returns its argument",
        },
        Keyed("exists", RespVerb.Exists, -2, "readonly fast", "@keyspace @read @fast", "generic", "Counts which of the keys are here",
            last: -1),
        Keyed("expire", RespVerb.Expire, -3, "write fast", "@keyspace @write @fast", "generic", "Sets the time to live in seconds"),
        new("flushall", RespVerb.FlushAll, -1)
        {
            Flags = "write", Categories = "@keyspace @write @slow @dangerous", Group = "server",
            Summary = "Deletes every key of every database",
        },
        new("flushdb", RespVerb.FlushDb, -1)
        {
            Flags = "write", Categories = "@keyspace @write @slow @dangerous", Group = "server",
            Summary = "Deletes every key of the database",
        },
        Keyed("get", RespVerb.Get, 2, "readonly fast", "@read @string @fast", "string", "Returns a value"),
        Keyed("getrange", RespVerb.GetRange, 4, "readonly", "@read @string @slow", "string", "Returns a range of a value"),
        new("hello", RespVerb.Hello, -1)
        {
            Flags = "noscript loading stale fast no_auth allow_busy", Categories = "@fast @connection", Group = "connection",
            Summary = "Agrees on the protocol", BeforeAuth = true,
        },
        new("info", RespVerb.Info, -1)
        {
            Flags = "loading stale", Categories = "@slow @dangerous", Group = "server", Summary = "Returns figures of the server",
        },
        Keyed("mget", RespVerb.MGet, -2, "readonly fast", "@read @string @fast", "string", "Returns several values", last: -1),
        Keyed("mset", RespVerb.MSet, -3, "write denyoom", "@write @string @slow", "string", "Stores several values at once", last: -1,
            step: 2) with { ValueIndex = 2, ValuesRepeat = true },
        Keyed("persist", RespVerb.PersistKey, 2, "write fast", "@keyspace @write @fast", "generic", "Removes the time to live"),
        Keyed("pexpire", RespVerb.PExpire, -3, "write fast", "@keyspace @write @fast", "generic", "Sets the time to live in milliseconds"),
        new("ping", RespVerb.Ping, -1)
        {
            Flags = "fast", Categories = "@fast @connection", Group = "connection", Summary = "Says whether the server is there",
        },
        Keyed("psetex", RespVerb.PSetEx, 4, "write denyoom", "@write @string @slow", "string",
            "Stores a value with a time to live in milliseconds") with { ValueIndex = 3 },
        Keyed("pttl", RespVerb.PTtl, 2, "readonly fast", "@keyspace @read @fast", "generic", "Returns the time to live in milliseconds"),
        new("randomkey", RespVerb.RandomKey, 1)
        {
            Flags = "readonly", Categories = "@keyspace @read @slow", Group = "generic", Summary = "Returns a key picked at random",
        },
        new("reset", RespVerb.Reset, 1)
        {
            Flags = "noscript loading stale fast no_auth allow_busy", Categories = "@fast @connection", Group = "connection",
            Summary = "Puts the connection back to its first state", BeforeAuth = true,
        },
        new("scan", RespVerb.Scan, -2)
        {
            Flags = "readonly", Categories = "@keyspace @read @slow", Group = "generic", Summary = "Walks the keys of the database",
        },
        new("select", RespVerb.Select, 2)
        {
            Flags = "loading stale fast", Categories = "@fast @connection", Group = "connection", Summary = "Chooses the database",
        },
        Keyed("set", RespVerb.Set, -3, "write denyoom", "@write @string @slow", "string", "Stores a value") with { ValueIndex = 2 },
        Keyed("setex", RespVerb.SetEx, 4, "write denyoom", "@write @string @slow", "string",
            "Stores a value with a time to live in seconds") with { ValueIndex = 3 },
        Keyed("setnx", RespVerb.SetNx, 3, "write denyoom fast", "@write @string @fast", "string", "Stores a value unless the key is here")
            with { ValueIndex = 2 },
        Keyed("strlen", RespVerb.StrLen, 2, "readonly fast", "@read @string @fast", "string", "Returns the length of a value"),
        Keyed("ttl", RespVerb.Ttl, 2, "readonly fast", "@keyspace @read @fast", "generic", "Returns the time to live in seconds"),
        Keyed("type", RespVerb.Type, 2, "readonly fast", "@keyspace @read @fast", "generic", "Returns the type of a value"),
        Keyed("unlink", RespVerb.Unlink, -2, "write fast", "@keyspace @write @fast", "generic", "Deletes keys", last: -1),
    ];

    /// <summary>Length of the longest name that <see cref="Pack"/> holds.</summary>
    private const int NameBytesMax = 16;

    private static readonly FrozenDictionary<UInt128, RespCommand> byName = All.ToFrozenDictionary(command =>
        Pack(System.Text.Encoding.ASCII.GetBytes(command.Name)));

    /// <summary>Finds a command by name, in any case.</summary>
    /// <returns>Null when there is none.</returns>
    public static RespCommand? Find(ReadOnlySpan<byte> name) =>
        name.Length <= NameBytesMax && byName.TryGetValue(Pack(name), out RespCommand? command) && command.Name.Length == name.Length
            ? command : null;

    /// <summary>Finds a subcommand by name, in any case.</summary>
    /// <returns>Null when there is none.</returns>
    public static RespCommand? FindSubcommand(RespCommand container, ReadOnlySpan<byte> name)
    {
        foreach (RespCommand candidate in container.Subcommands)
        {
            if (System.Text.Ascii.EqualsIgnoreCase(name, candidate.Name.AsSpan(container.Name.Length + 1))) return candidate;
        }

        return null;
    }

    private static UInt128 Pack(ReadOnlySpan<byte> name)
    {
        UInt128 packed = 0;
        foreach (byte c in name) packed = (packed << 8) | (byte)(c is >= (byte)'A' and <= (byte)'Z' ? c | 0x20 : c);
        return packed;
    }

    private static RespCommand Keyed(
        string name, RespVerb verb, int arity, string flags, string categories, string group, string summary, int last = 1, int step = 1) =>
        new(name, verb, arity)
        {
            Flags = flags,
            Categories = categories,
            Group = group,
            Summary = summary,
            FirstKey = 1,
            LastKey = last,
            KeyStep = step,
        };

    private static RespCommand[] Client() =>
    [
        new("client|getname", RespVerb.ClientGetName, 2) { Flags = Container, Categories = "@slow @connection" },
        new("client|help", RespVerb.ClientHelp, 2) { Flags = "loading stale", Categories = "@slow @connection" },
        new("client|id", RespVerb.ClientId, 2) { Flags = Container, Categories = "@slow @connection" },
        new("client|info", RespVerb.ClientInfo, 2) { Flags = Container, Categories = "@slow @connection" },
        new("client|list", RespVerb.ClientList, -2) { Flags = "admin " + Container, Categories = "@admin @slow @dangerous @connection" },
        new("client|no-evict", RespVerb.ClientNoEvict, 3)
        {
            Flags = "admin " + Container, Categories = "@admin @slow @dangerous @connection",
        },
        new("client|reply", RespVerb.ClientReply, 3) { Flags = Container, Categories = "@slow @connection" },
        new("client|setname", RespVerb.ClientSetName, 3) { Flags = Container, Categories = "@slow @connection" },
    ];

    private static RespCommand[] Command() =>
    [
        new("command|count", RespVerb.CommandCount, 2) { Flags = "loading stale", Categories = "@slow @connection" },
        new("command|docs", RespVerb.CommandDocs, -2) { Flags = "loading stale", Categories = "@slow @connection" },
        new("command|help", RespVerb.CommandHelp, 2) { Flags = "loading stale", Categories = "@slow @connection" },
        new("command|info", RespVerb.CommandInfo, -2) { Flags = "loading stale", Categories = "@slow @connection" },
        new("command|list", RespVerb.CommandList, -2) { Flags = "loading stale", Categories = "@slow @connection" },
    ];

    private static RespCommand[] Config() =>
    [
        new("config|get", RespVerb.ConfigGet, -3) { Flags = "admin " + Container, Categories = "@admin @slow @dangerous" },
        new("config|help", RespVerb.ConfigHelp, 2) { Flags = "loading stale", Categories = "@slow" },
        new("config|set", RespVerb.ConfigSet, -4) { Flags = "admin " + Container, Categories = "@admin @slow @dangerous" },
    ];
}
