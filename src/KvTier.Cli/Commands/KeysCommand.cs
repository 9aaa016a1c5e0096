using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>A run of a <c>block</c> verb that takes several keys.</summary>
/// <param name="Parsed">The command line.</param>
/// <param name="Json">Whether the result is one JSON document.</param>
/// <param name="Keys">The keys as they were typed.</param>
/// <param name="Namespace">Their namespace.</param>
/// <param name="Ids">The ids of the keys, in their order.</param>
/// <param name="Cancel">Ends the wait.</param>
internal sealed record KeysRun(
    ParseResult Parsed, bool Json, string[] Keys, KvClusterNamespace Namespace, BlockId[] Ids, CancellationToken Cancel);

/// <summary>What the <c>block</c> verbs that take several keys have in common.</summary>
internal static class KeysCommand
{
    /// <summary>Adds keys, namespace and connection to a command, and runs it with a client of its own.</summary>
    /// <param name="output">Where it writes.</param>
    /// <param name="command">The command, with the options that only it has.</param>
    /// <param name="run">Does the work and gives the exit code.</param>
    public static Command Create(CliOutput output, Command command, Func<KeysRun, Task<int>> run)
    {
        var keys = new Argument<string[]>("keys") { Description = "The keys, in their order.", Arity = ArgumentArity.OneOrMore };
        Option<bool> json = JsonOption.AddTo(command);
        command.Arguments.Add(keys);
        var blocks = new BlockOptions(command);
        var connection = new ConnectionOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            string[] names = parsed.GetValue(keys)!;
            await using RoutedConnection client = await connection.ConnectRoutedAsync(parsed, cancel);
            KvClusterNamespace ns = await blocks.OpenAsync(client, parsed, register: false, cancel);
            return await run(new KeysRun(parsed, parsed.GetValue(json), names, ns, blocks.Ids(parsed, ns, names), cancel));
        });
        return command;
    }
}
