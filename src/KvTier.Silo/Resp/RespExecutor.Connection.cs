using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using KvTier.Protocol;

namespace KvTier.Silo.Resp;

/// <summary>Commands about the connection.</summary>
internal sealed partial class RespExecutor
{
    private const string WrongPass = "WRONGPASS invalid username-password pair or user is disabled.";
    private const string BadClientName = "ERR Client names cannot contain spaces, newlines or special characters.";

    private static readonly string[] clientHelp =
    [
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GETNAME", "    Return the name of the current connection.",
        "ID", "    Return the ID of the current connection.",
        "INFO", "    Return information about the current client connection.",
        "LIST [options ...]", "    Return information about client connections. Options: TYPE <type>, ID <id> [<id> ...]",
        "NO-EVICT (ON|OFF)", "    Accepted and shown; connections are never evicted.",
        "REPLY (ON|OFF|SKIP)", "    Control the replies sent to the current connection.",
        "SETNAME <name>", "    Assign the name <name> to the current connection.",
        "HELP", "    Prints this help.",
    ];

    private void Help(string[] lines)
    {
        output.ArrayHead(lines.Length);
        foreach (string line in lines) output.Simple(line);
    }

    private void Echo(bool ping)
    {
        if (ping && Count > 2) WrongArity("ping");
        else if (ping && Count == 1) output.Raw("+PONG\r\n"u8);
        else output.Bulk(Arg(1));
    }

    private bool IsPassword(ReadOnlySpan<byte> user, ReadOnlySpan<byte> password) =>
        user.SequenceEqual("default"u8) && (server.Password is null || CryptographicOperations.FixedTimeEquals(password, server.Password));

    private void Auth()
    {
        if (Count > 3) output.SyntaxError();
        else if (Count == 2 && server.Password is null)
        {
            output.Error("ERR AUTH <password> called without any password configured for the default user. "
                + "Are you sure your configuration is correct?");
        }
        else if (IsPassword(Count == 2 ? "default"u8 : Arg(1), Arg(Count - 1)))
        {
            SetAuthenticated(true);
            output.Ok();
        }
        else output.Error(WrongPass);
    }

    private void SetAuthenticated(bool value)
    {
        session.Authenticated = value;
        input.Reader.AuthRequired = !value;
    }

    private void Hello()
    {
        if (Count > 1)
        {
            if (!RespNumber.TryParse(Arg(1), out long version))
            {
                output.Error("ERR Protocol version is not an integer or out of range");
                return;
            }

            if (version != 2)
            {
                output.Error("NOPROTO unsupported protocol version");
                return;
            }
        }

        int password = 0;
        int name = 0;
        for (int i = 2; i < Count; i++)
        {
            if (RespText.Is(Arg(i), "auth"u8) && i + 2 < Count) password = i += 2;
            else if (RespText.Is(Arg(i), "setname"u8) && i + 1 < Count)
            {
                name = ++i;
                if (RespText.IsClientName(Arg(name))) continue;
                output.Error(BadClientName);
                return;
            }
            else
            {
                output.Error($"ERR Syntax error in HELLO option '{Masked(RespText.CString(Arg(i)), int.MaxValue)}'");
                return;
            }
        }

        if (password > 0)
        {
            if (!IsPassword(Arg(password - 1), Arg(password)))
            {
                output.Error(WrongPass);
                return;
            }

            SetAuthenticated(true);
        }

        if (!session.Authenticated)
        {
            output.Error("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option "
                + "can be used to authenticate the client and select the RESP protocol version at the same time");
            return;
        }

        if (name > 0) session.Name = Encoding.Latin1.GetString(Arg(name));
        ReplyHello();
    }

    private void ReplyHello()
    {
        output.ArrayHead(14);
        output.Bulk("server");
        output.Bulk("redis");
        output.Bulk("version");
        output.Bulk(RedisVersion);
        output.Bulk("proto");
        output.Integer(2);
        output.Bulk("id");
        output.Integer(session.Id);
        output.Bulk("mode");
        output.Bulk("standalone");
        output.Bulk("role");
        output.Bulk("master");
        output.Bulk("modules");
        output.ArrayHead(0);
    }

    private void Select()
    {
        if (!RespNumber.TryParse(Arg(1), out long db)) output.NotAnInteger();
        else if (db is < int.MinValue or > int.MaxValue)
            output.Error("ERR value is out of range, value must between -2147483648 and 2147483647");
        else if (db is < 0 or >= RespServer.Databases) output.Error("ERR DB index is out of range");
        else
        {
            session.Database = (int)db;
            output.Ok();
        }
    }

    private void Reset()
    {
        session.Database = 0;
        session.Name = "";
        session.RepliesOff = false;
        session.SkipNext = false;
        output.Muted = session.Skip;
        SetAuthenticated(server.Password is null);
        output.Raw("+RESET\r\n"u8);
    }

    private void RunClient(RespCommand command)
    {
        switch (command.Verb)
        {
            case RespVerb.ClientGetName when session.Name.Length == 0: output.Null(); break;
            case RespVerb.ClientGetName: output.Bulk(session.Name); break;
            case RespVerb.ClientId: output.Integer(session.Id); break;
            case RespVerb.ClientInfo: output.Bulk(RespClientLine.Of(session, server.NowUnixMs)); break;
            case RespVerb.ClientList: ClientList(); break;
            case RespVerb.ClientNoEvict: ClientNoEvict(); break;
            case RespVerb.ClientReply: ClientReply(); break;
            case RespVerb.ClientSetName: ClientSetName(); break;
            case RespVerb.ClientHelp: Help(clientHelp); break;
            default: WrongArity(command.Name); break;
        }
    }

    private void ClientSetName()
    {
        if (!RespText.IsClientName(Arg(2)))
        {
            output.Error(BadClientName);
            return;
        }

        session.Name = Encoding.Latin1.GetString(Arg(2));
        output.Ok();
    }

    private void ClientNoEvict()
    {
        bool on = RespText.Is(Arg(2), "on"u8);
        if (!on && !RespText.Is(Arg(2), "off"u8))
        {
            output.SyntaxError();
            return;
        }

        session.NoEvict = on;
        output.Ok();
    }

    private void ClientReply()
    {
        if (RespText.Is(Arg(2), "on"u8))
        {
            session.RepliesOff = session.Skip = output.Muted = false;
            output.Ok();
        }
        else if (RespText.Is(Arg(2), "off"u8)) session.RepliesOff = true;
        else if (!RespText.Is(Arg(2), "skip"u8)) output.SyntaxError();
        else session.SkipNext = !session.RepliesOff;
    }

    private void ClientList()
    {
        var ids = new HashSet<long>();
        bool byId = Count > 3 && RespText.Is(Arg(2), "id"u8);
        if (Count == 4 && RespText.Is(Arg(2), "type"u8))
        {
            if (RespText.Is(Arg(3), "normal"u8)) byId = false;
            else if (IsOtherClientType(Arg(3))) byId = true;
            else
            {
                output.Error($"ERR Unknown client type '{Line(Arg(3))}'");
                return;
            }
        }
        else if (byId)
        {
            for (int i = 3; i < Count; i++)
            {
                if (!RespNumber.TryParse(Arg(i), out long id))
                {
                    output.Error("ERR Invalid client ID");
                    return;
                }

                ids.Add(id);
            }
        }
        else if (Count != 2)
        {
            output.SyntaxError();
            return;
        }

        var text = new StringBuilder();
        long now = server.NowUnixMs;
        foreach (RespConnection connection in server.Connections.Values.OrderBy(connection => connection.Session.Id))
        {
            if (!byId || ids.Contains(connection.Session.Id)) text.Append(RespClientLine.Of(connection.Session, now));
        }

        output.Bulk(text.ToString());
    }

    private static bool IsOtherClientType(ReadOnlySpan<byte> type) =>
        RespText.Is(type, "master"u8) || RespText.Is(type, "replica"u8) || RespText.Is(type, "slave"u8) || RespText.Is(type, "pubsub"u8);
}

/// <summary>A connection as CLIENT LIST and CLIENT INFO show it.</summary>
internal static class RespClientLine
{
    public static string Of(RespSession session, long nowUnixMs)
    {
        long age = (nowUnixMs - session.ConnectedUnixMs) / 1000;
        long idle = (nowUnixMs - session.LastCommandUnixMs) / 1000;
        string flags = session.NoEvict ? "e" : "N";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"id={session.Id} addr={session.RemoteAddress} laddr={session.LocalAddress} fd=-1 name={session.Name} age={age} " +
            $"idle={idle} flags={flags} " +
            $"db={session.Database} sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 " +
            $"argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 " +
            $"tot-mem=0 events=r cmd={session.LastCommand} user=default redir=-1 resp=2\n");
    }
}
