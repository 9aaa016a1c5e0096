namespace KvTier.Silo.Resp;

/// <summary>Commands and subcommands that are known.</summary>
internal enum RespVerb
{
    Auth, Client, ClientGetName, ClientHelp, ClientId, ClientInfo, ClientList, ClientNoEvict, ClientReply, ClientSetName,
    Command, CommandCount, CommandDocs, CommandHelp, CommandInfo, CommandList, Config, ConfigGet, ConfigHelp, ConfigSet, DbSize, Del, Echo,
    Exists, Expire, FlushAll, FlushDb, Get, GetRange, Hello, Info, MGet, MSet, PersistKey, PExpire, Ping, PSetEx, PTtl, RandomKey, Reset,
    Scan, Select, Set, SetEx, SetNx, StrLen, Ttl, Type, Unlink,
}

/// <summary>A command: what the dispatcher checks before it runs, and what COMMAND INFO tells.</summary>
/// <param name="Name">Name in lower case; <c>config|get</c> for a subcommand.</param>
/// <param name="Verb">What it does.</param>
/// <param name="Arity">Number of arguments, the name included; negative for at least that many.</param>
internal sealed record RespCommand(string Name, RespVerb Verb, int Arity)
{
    /// <summary>Flags as COMMAND INFO spells them, separated by spaces.</summary>
    public string Flags { get; init; } = "";

    /// <summary>ACL categories, separated by spaces.</summary>
    public string Categories { get; init; } = "";

    /// <summary>Position of the first key; 0 for none.</summary>
    public int FirstKey { get; init; }

    /// <summary>Position of the last key; negative when counted from the end.</summary>
    public int LastKey { get; init; }

    /// <summary>Positions from key to key.</summary>
    public int KeyStep { get; init; }

    /// <summary>One sentence for COMMAND DOCS.</summary>
    public string Summary { get; init; } = "";

    /// <summary>Group for COMMAND DOCS.</summary>
    public string Group { get; init; } = "";

    /// <summary>Position of the value that is stored; 0 when there is none.</summary>
    public int ValueIndex { get; init; }

    /// <summary>True when keys and values alternate.</summary>
    public bool ValuesRepeat { get; init; }

    /// <summary>True when a client may call it before it has shown the password.</summary>
    public bool BeforeAuth { get; init; }

    /// <summary>Subcommands of a container.</summary>
    public IReadOnlyList<RespCommand> Subcommands { get; init; } = [];

    /// <summary>Position of the key that goes with a value.</summary>
    public int KeyOf(int valueIndex) => ValuesRepeat ? valueIndex - 1 : 1;

    /// <summary>True when the number of arguments is right.</summary>
    public bool HasArity(long count) => Arity >= 0 ? count == Arity : count >= -Arity;
}
