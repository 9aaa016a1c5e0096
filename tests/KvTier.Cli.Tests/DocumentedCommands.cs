using System.Text.RegularExpressions;

namespace KvTier.Cli.Tests;

/// <summary>Finds the commands of this repository in Markdown pages: those in <c>sh</c> blocks, and <c>./dev</c> in inline code.</summary>
internal static partial class DocumentedCommands
{
    /// <summary>All commands of a page, each as its words from <c>kvtier</c> or <c>./dev</c> on.</summary>
    public static List<string[]> Find(string text)
    {
        var commands = new List<string[]>();
        bool inside = false;
        bool shell = false;
        foreach (string line in text.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n'))
        {
            if (line.TrimStart().StartsWith("```", StringComparison.Ordinal))
            {
                inside = !inside;
                shell = inside && line.Trim() is "```sh" or "```bash";
            }
            else if (shell)
            {
                commands.AddRange(Start().Matches(line).Select(match => Words(line[match.Groups["command"].Index..])));
            }
            else if (!inside)
            {
                commands.AddRange(Inline().Matches(line).Select(match => match.Groups["command"].Value)
                    .Where(command => !command.Contains('…', StringComparison.Ordinal)).Select(Words));
            }
        }

        return commands;
    }

    /// <summary>What <c>kvtier</c> gets of a command: its arguments; null for a verb of <c>./dev</c> that does not run it.</summary>
    /// <exception cref="ArgumentException"><c>./dev</c> has no such verb.</exception>
    public static string[]? Arguments(string[] command, IReadOnlySet<string> devVerbs)
    {
        if (command[0] != "./dev") return command[1..];
        string verb = command.Length > 1 ? command[1] : "help";
        if (!devVerbs.Contains(verb)) throw new ArgumentException($"./dev has no verb {verb}", nameof(command));
        return verb switch { "kvtier" => command[2..], "demo" or "bench" => command[1..], _ => null };
    }

    /// <summary>The verbs that <c>./dev</c> knows: the labels of its last case.</summary>
    public static HashSet<string> Verbs(string script) =>
        [.. script.Split('\n').SkipWhile(line => !line.StartsWith("case ", StringComparison.Ordinal))
            .Select(line => Label().Match(line)).Where(match => match.Success)
            .SelectMany(match => match.Groups["labels"].Value.Split('|', StringSplitOptions.TrimEntries))];

    /// <summary>The words up to where the shell ends the command.</summary>
    private static string[] Words(string line) =>
        [.. Word().Matches(line).Select(match => match.Value)
            .TakeWhile(word => word[0] is not ('|' or '>' or '<' or ';' or '&' or ')' or '#') && word != "2>")
            .Select(word => word.Trim('"', '\''))];

    [GeneratedRegex(@"(^|\$\(|[|;&]\s*)\s*(?<command>(\./dev|kvtier)(\s|$))", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex Start();

    [GeneratedRegex(@"`(?<command>\./dev [^`]+)`", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex Inline();

    [GeneratedRegex("2>|\"[^\"]*\"|'[^']*'|[|<>;&)]+|[^\\s|<>;&)]+", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex Word();

    [GeneratedRegex(@"^  (?<labels>[\w| -]+)\)", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex Label();
}
