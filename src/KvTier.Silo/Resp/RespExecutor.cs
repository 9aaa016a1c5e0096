using System.Text;
using KvTier.Engine;

namespace KvTier.Silo.Resp;

/// <summary>
/// Runs the commands of one connection, one after the other. What answers from host memory completes without waiting; what has to wait is
/// in methods of its own.
/// </summary>
internal sealed partial class RespExecutor(RespServer server, RespSession session, RespInput input, RespOutput output, RespValues values)
{
    private BlockEngine Engine => server.Engine;

    private ushort Namespace => server.Namespace(session.Database);

    private int Count => input.Count;

    /// <summary>Runs the command in the input.</summary>
    public ValueTask ExecuteAsync()
    {
        output.Muted = session.RepliesOff || session.Skip;
        ReadOnlySpan<byte> name = input.Bytes(0);
        if (RespText.Is(name, "quit"u8))
        {
            output.Ok();
            session.Closing = true;
            return default;
        }

        if (server.Router is { } router && RespText.Is(name, "kvtier.forwarded"u8) && session.Authenticated) return MarkAsync(router);
        if (Resolve() is not { } command) return default;
        if (server.Password is not null && !session.Authenticated && !command.BeforeAuth)
        {
            output.Raw("-NOAUTH Authentication required.\r\n"u8);
            return default;
        }

        if (HasDroppedArgument()) return default;
        session.LastCommand = command.Name;
        return server.Router is null ? RunAsync(command) : RunRoutedAsync(server.Router, command);
    }

    /// <summary>After a command: SKIP lasts for one.</summary>
    public void EndCommand()
    {
        session.Skip = session.SkipNext;
        session.SkipNext = false;
        output.Muted = session.RepliesOff || session.Skip;
    }

    private ReadOnlySpan<byte> Arg(int index) => input.Bytes(index);

    private BlockId Id(int index) => server.Id(session.Database, input.Bytes(index));

    /// <summary>An argument that is no value and was too long to keep makes the command impossible.</summary>
    private bool HasDroppedArgument()
    {
        if (!input.HasTaken) return false;
        for (int i = 0; i < Count; i++)
        {
            if (input.IsValue(i) || input.Place(i, out _) == RespPlace.Buffer) continue;
            output.Error("ERR " + KvError.LimitExceeded("argument bytes", input.Length(i), server.Limits.ArgumentBytesMax).Message);
            return true;
        }

        return false;
    }

    /// <summary>Finds the command and checks the number of its arguments; writes the error when there is one.</summary>
    private RespCommand? Resolve()
    {
        RespCommand? command = input.Command;
        if (command is null)
        {
            UnknownCommand();
            return null;
        }

        if (command.Subcommands.Count > 0 && Count > 1)
        {
            RespCommand? subcommand = RespCommandTable.FindSubcommand(command, Arg(1));
            if (subcommand is null)
            {
                string asked = Masked(RespText.CString(Arg(1)), 128);
                output.Error($"ERR unknown subcommand '{asked}'. Try {command.Name.ToUpperInvariant()} HELP.");
                return null;
            }

            command = subcommand;
        }

        if (command.HasArity(Count)) return command;
        WrongArity(command.Name);
        return null;
    }

    private void UnknownCommand()
    {
        var text = new StringBuilder("ERR unknown command '");
        text.Append(Masked(RespText.CString(Arg(0)), 128)).Append("', with args beginning with: ");
        int argumentsStart = text.Length;
        for (int i = 1; i < Count && text.Length - argumentsStart < 128; i++)
        {
            int room = 128 - (text.Length - argumentsStart);
            text.Append('\'').Append(Masked(RespText.CString(Arg(i)), room)).Append("' ");
        }

        output.Error(text.ToString());
    }

    private void WrongArity(string name) => output.Error($"ERR wrong number of arguments for '{name}' command");

    /// <summary>At most so many bytes of an argument, as text for an error line.</summary>
    private static string Masked(ReadOnlySpan<byte> argument, int bytesMax)
    {
        string text = Encoding.Latin1.GetString(argument[..Math.Min(argument.Length, bytesMax)]);
        return text.Replace('\r', ' ').Replace('\n', ' ');
    }

    private ValueTask RunAsync(RespCommand command)
    {
        switch (command.Verb)
        {
            case RespVerb.Get: return GetAsync();
            case RespVerb.Set: return SetAsync();
            case RespVerb.SetEx or RespVerb.PSetEx: return SetExAsync(command);
            case RespVerb.SetNx: return SetNxAsync();
            case RespVerb.MGet: return MGetAsync();
            case RespVerb.MSet: return MSetAsync();
            case RespVerb.GetRange: return GetRangeAsync();
            default:
                RunAtOnce(command);
                return default;
        }
    }

    private void RunAtOnce(RespCommand command)
    {
        switch (command.Verb)
        {
            case RespVerb.Exists: Exists(); break;
            case RespVerb.Del or RespVerb.Unlink: Del(); break;
            case RespVerb.StrLen: StrLen(); break;
            case RespVerb.Type: Type(); break;
            case RespVerb.Ttl or RespVerb.PTtl: Ttl(command.Verb == RespVerb.Ttl); break;
            case RespVerb.Expire or RespVerb.PExpire: Expire(command); break;
            case RespVerb.PersistKey: Persist(); break;
            case RespVerb.Scan: Scan(); break;
            case RespVerb.RandomKey: RandomKey(); break;
            case RespVerb.DbSize: output.Integer(Engine.Count(Namespace)); break;
            case RespVerb.FlushDb or RespVerb.FlushAll: Flush(command.Verb == RespVerb.FlushAll); break;
            case RespVerb.Ping or RespVerb.Echo: Echo(command.Verb == RespVerb.Ping); break;
            case RespVerb.Auth: Auth(); break;
            case RespVerb.Hello: Hello(); break;
            case RespVerb.Select: Select(); break;
            case RespVerb.Reset: Reset(); break;
            case RespVerb.Info: Info(); break;
            case RespVerb.ConfigGet: ConfigGet(); break;
            case RespVerb.ConfigSet: ConfigSet(); break;
            case RespVerb.ConfigHelp: Help(configHelp); break;
            case RespVerb.Command or RespVerb.CommandInfo: CommandInfo(); break;
            case RespVerb.CommandCount: output.Integer(RespCommandTable.All.Count); break;
            case RespVerb.CommandDocs: CommandDocs(); break;
            case RespVerb.CommandList: CommandList(); break;
            case RespVerb.CommandHelp: Help(commandHelp); break;
            default: RunClient(command); break;
        }
    }
}
