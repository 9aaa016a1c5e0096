using System.CommandLine;

namespace KvTier.Cli;

/// <summary><c>kvtier eval</c>: how good, not how fast.</summary>
internal static class EvalCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("eval", "Measure how good an answer is against the exact one.");
        command.Subcommands.Add(EvalRecallCommand.Create(output));
        return command;
    }
}
