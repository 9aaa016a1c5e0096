using System.CommandLine;
using System.CommandLine.Parsing;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>The options of <c>kvtier serve</c>: one for each line of the silo's option table, and the config file.</summary>
internal sealed class ServeOptions
{
    private readonly Option<string?> config =
        new("--config") { Description = "A YAML or JSON file of options; KVTIER_CONFIG names one too." };
    private readonly List<(SiloOption Option, Option<string> Line)> options = [];

    /// <summary>Adds the options to a command.</summary>
    public ServeOptions(Command command)
    {
        command.Options.Add(config);
        foreach (SiloOption option in SiloOptionTable.All)
        {
            var line = new Option<string>(LineName(option.Name))
            {
                Description = $"{option.Help} {option.Allowed}; default {Default(option)}.",
                Arity = option.Kind == "switch" ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
                HelpName = option.Kind,
            };
            if (option.Name != LineName(option.Name)[2..]) line.Aliases.Add($"--{option.Name}");
            if (option.Name == "cluster.etcd") line.Aliases.Add("--etcd");
            options.Add((option, line));
            command.Options.Add(line);
        }
    }

    /// <summary>
    /// The name of an option on the command line: <c>hostBytes</c> is <c>--host-bytes</c>, <c>resp.port</c> is <c>--resp-port</c>.
    /// </summary>
    public static string LineName(string name)
    {
        var text = new System.Text.StringBuilder("--");
        foreach (char c in name)
        {
            if (c == '.') text.Append('-');
            else if (char.IsAsciiLetterUpper(c)) text.Append('-').Append(char.ToLowerInvariant(c));
            else text.Append(c);
        }

        return text.ToString();
    }

    /// <summary>Loads the options of all sources and checks them.</summary>
    public Result<SiloOptions> Load(ParseResult parsed, IReadOnlyDictionary<string, string> environment)
    {
        string? file = parsed.GetValue(config);
        if (file is null && environment.TryGetValue("KVTIER_CONFIG", out string? named) && named.Length > 0) file = named;
        return SiloOptionsLoader.Load(file, environment, Overrides(parsed));
    }

    private static string Default(SiloOption option)
    {
        string text = option.Show(SiloOptions.Default);
        return text.Length == 0 ? "empty" : text;
    }

    private IEnumerable<KeyValuePair<string, string>> Overrides(ParseResult parsed)
    {
        foreach ((SiloOption option, Option<string> line) in options)
        {
            if (parsed.GetResult(line) is not OptionResult { Implicit: false } result) continue;
            yield return new(option.Name, result.Tokens.Count == 0 ? "true" : result.Tokens[^1].Value);
        }
    }
}
