using System.Globalization;
using System.Text;

namespace KvTier.Silo.Resp;

/// <summary>Commands about the server.</summary>
internal sealed partial class RespExecutor
{
    /// <summary>The version whose replies are given; clients decide by it what they may send.</summary>
    private const string RedisVersion = "7.0.15";

    private static readonly string[] configHelp =
    [
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern>", "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>", "    Refused: options are set when the silo starts.",
        "HELP", "    Prints this help.",
    ];

    private static readonly string[] commandHelp =
    [
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)", "    Return details about all commands.",
        "COUNT", "    Return the total number of commands.",
        "LIST", "    Return a list of all commands.",
        "INFO [<command-name> ...]", "    Return details about multiple commands.",
        "DOCS [<command-name> ...]", "    Return documentation details about multiple commands.",
        "HELP", "    Prints this help.",
    ];

    private void Info()
    {
        var wanted = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (int i = 1; i < Count; i++) wanted.Add(Masked(RespText.CString(Arg(i)), 64));
        output.Bulk(RespInfo.Write(server, wanted));
    }

    private void ConfigGet()
    {
        using var found = new RespList();
        foreach ((string name, string value) in Configuration())
        {
            for (int i = 2; i < Count; i++)
            {
                ReadOnlySpan<byte> pattern = RespText.CString(Arg(i));
                byte[] own = Encoding.ASCII.GetBytes(name);
                if (!RespGlob.IsMatch(pattern, own, ignoreCase: true)) continue;

                // A name without wildcards comes back as it was asked for.
                found.Add(pattern.ContainsAny("*?["u8) ? own : pattern);
                found.Add(Encoding.Latin1.GetBytes(value));
                break;
            }
        }

        output.ArrayHead(found.Count);
        output.Raw(found.Bytes);
    }

    private IEnumerable<(string Name, string Value)> Configuration()
    {
        static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
        yield return ("appendonly", "no");
        yield return ("bind", server.Options.Address);
        yield return ("databases", Number(RespServer.Databases));
        yield return ("maxclients", Number(server.Limits.ConnectionsMax));
        yield return ("maxmemory", Number(Engine.Arena.CapacityBytes));
        yield return ("maxmemory-policy", "allkeys-lru");
        yield return ("port", Number(server.Port));
        yield return ("proto-max-bulk-len", Number(server.Limits.ValueBytesMax));
        yield return ("save", "");
        yield return ("timeout", "0");
    }

    /// <summary>Refuses every option by the error for an unknown one: none can be changed while the silo runs.</summary>
    private void ConfigSet()
    {
        if (Count % 2 != 0) output.SyntaxError();
        else output.Error($"ERR Unknown option or number of arguments for CONFIG SET - '{Line(Arg(2))}'");
    }

    private void CommandInfo()
    {
        // "COMMAND" and "COMMAND INFO" without names describe all.
        if (Count <= 2)
        {
            output.ArrayHead(RespCommandTable.All.Count);
            foreach (RespCommand command in RespCommandTable.All) Describe(command);
            return;
        }

        output.ArrayHead(Count - 2);
        for (int i = 2; i < Count; i++)
        {
            if (FindByFullName(Arg(i)) is { } command) Describe(command);
            else output.Null();
        }
    }

    private static RespCommand? FindByFullName(ReadOnlySpan<byte> name)
    {
        int bar = name.IndexOf((byte)'|');
        if (bar < 0) return RespCommandTable.Find(name);
        RespCommand? container = RespCommandTable.Find(name[..bar]);
        return container is null ? null : RespCommandTable.FindSubcommand(container, name[(bar + 1)..]);
    }

    private void Describe(RespCommand command)
    {
        output.ArrayHead(10);
        output.Bulk(command.Name);
        output.Integer(command.Arity);
        Words(command.Flags);
        output.Integer(command.FirstKey);
        output.Integer(command.LastKey);
        output.Integer(command.KeyStep);
        Words(command.Categories);
        output.ArrayHead(0);
        output.ArrayHead(0);
        output.ArrayHead(command.Subcommands.Count);
        foreach (RespCommand subcommand in command.Subcommands) Describe(subcommand);
    }

    private void Words(string words)
    {
        string[] list = words.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        output.ArrayHead(list.Length);
        foreach (string word in list) output.Simple(word);
    }

    private void CommandDocs()
    {
        var found = new List<RespCommand>();
        if (Count == 2) found.AddRange(RespCommandTable.All);
        for (int i = 2; i < Count; i++)
        {
            if (FindByFullName(Arg(i)) is { } command) found.Add(command);
        }

        output.ArrayHead(2 * found.Count);
        foreach (RespCommand command in found)
        {
            output.Bulk(command.Name);
            output.ArrayHead(4);
            output.Bulk("summary");
            output.Bulk(command.Summary);
            output.Bulk("group");
            output.Bulk(command.Group);
        }
    }

    private void CommandList()
    {
        if (Count > 2)
        {
            output.SyntaxError();
            return;
        }

        output.ArrayHead(RespCommandTable.All.Count);
        foreach (RespCommand command in RespCommandTable.All) output.Bulk(command.Name);
    }
}
