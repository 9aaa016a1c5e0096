namespace KvTier.Silo.Resp;

/// <summary>What a connection has set: database, name, password shown, replies on or off.</summary>
internal sealed class RespSession(long id, bool authRequired, long connectedUnixMs)
{
    /// <summary>Number of the connection, as CLIENT ID tells it.</summary>
    public long Id => id;

    public long ConnectedUnixMs { get; } = connectedUnixMs;

    public long LastCommandUnixMs { get; set; } = connectedUnixMs;

    public string RemoteAddress { get; init; } = "";

    public string LocalAddress { get; init; } = "";

    public int Database { get; set; }

    /// <summary>Name from CLIENT SETNAME; empty for none.</summary>
    public string Name { get; set; } = "";

    public bool Authenticated { get; set; } = !authRequired;

    public bool NoEvict { get; set; }

    /// <summary>CLIENT REPLY OFF.</summary>
    public bool RepliesOff { get; set; }

    /// <summary>CLIENT REPLY SKIP was the last command: the next reply is dropped.</summary>
    public bool SkipNext { get; set; }

    /// <summary>The reply of this command is dropped.</summary>
    public bool Skip { get; set; }

    /// <summary>The connection ends after the replies so far were sent.</summary>
    public bool Closing { get; set; }

    /// <summary>True for a connection of another silo: its commands are not passed on again.</summary>
    public bool IsForwarded { get; set; }

    /// <summary>Name of the last command, for CLIENT LIST.</summary>
    public string LastCommand { get; set; } = "NULL";
}
