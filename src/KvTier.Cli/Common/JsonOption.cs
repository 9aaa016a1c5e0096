using System.CommandLine;

namespace KvTier.Cli;

/// <summary>The option <c>--json</c>.</summary>
internal static class JsonOption
{
    /// <summary>Adds it to a command.</summary>
    public static Option<bool> AddTo(Command command)
    {
        var json = new Option<bool>("--json") { Description = "Write one JSON document to stdout instead of a table." };
        command.Options.Add(json);
        return json;
    }
}
