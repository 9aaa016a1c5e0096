using System.CommandLine;
using System.CommandLine.Parsing;

namespace KvTier.Cli;

/// <summary>All commands of <c>kvtier</c>.</summary>
internal static class CommandTree
{
    /// <summary>Makes the tree.</summary>
    public static RootCommand Create(CliOutput output)
    {
        var root = new RootCommand("KvTier: a KV-cache tier service for LLM inference.");
        root.Subcommands.Add(ServeCommand.Create(output));
        root.Subcommands.Add(DemoCommand.Create(output));
        root.Subcommands.Add(ReplayCommand.Create(output));
        root.Subcommands.Add(BenchCommand.Create(output));
        root.Subcommands.Add(EvalCommand.Create(output));
        root.Subcommands.Add(ClusterCommand.Create(output));
        root.Subcommands.Add(StatCommand.Create(output));
        root.Subcommands.Add(HealthCommand.Create(output));
        root.Subcommands.Add(BlockCommand.Create(output));
        root.Subcommands.Add(NamespaceCommand.Create(output));
        root.Subcommands.Add(SequenceCommand.Create(output));
        return root;
    }

    /// <summary>Runs a command line.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string[] arguments, CliOutput output, CancellationToken cancel = default)
    {
        ParseResult parsed = Create(output).Parse(arguments);
        bool help = parsed.Action is not null and not System.CommandLine.Invocation.ParseErrorAction
            && parsed.Action != parsed.CommandResult.Command.Action;
        if (parsed.Errors.Count > 0 && !help)
        {
            output.Error($"kvtier: {parsed.Errors[0].Message} ({PathOf(parsed.CommandResult)} --help says what is allowed)");
            return ExitCodes.Usage;
        }

        var configuration = new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
            Output = output.Stdout,
        };
        int code = await parsed.InvokeAsync(configuration, cancel);
        output.Flush();
        return code;
    }

    private static string PathOf(CommandResult result) =>
        result.Parent is CommandResult parent ? $"{PathOf(parent)} {result.Command.Name}" : "kvtier";
}
