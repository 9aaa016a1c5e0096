using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>A run of a <c>sequence</c> verb.</summary>
/// <param name="Parsed">The command line.</param>
/// <param name="Namespace">The namespace.</param>
/// <param name="Name">Name of the sequence; empty where the verb takes none.</param>
/// <param name="Ids">The blocks named.</param>
/// <param name="Cancel">Ends the wait.</param>
internal sealed record SequenceRun(ParseResult Parsed, KvClusterNamespace Namespace, string Name, BlockId[] Ids, CancellationToken Cancel);

/// <summary>What the <c>sequence</c> verbs have in common.</summary>
internal static class SequenceVerb
{
    /// <summary>Adds name, keys, namespace and connection to a command, and shows the sequences that its run gives.</summary>
    /// <param name="output">Where it writes.</param>
    /// <param name="command">The command, with the options that only it has.</param>
    /// <param name="takesName">True when a sequence is named.</param>
    /// <param name="keys">How many keys of blocks may follow; none for a verb that takes no keys.</param>
    /// <param name="run">Does the work and gives the sequences to show.</param>
    public static Command Create(
        CliOutput output, Command command, bool takesName, ArgumentArity keys, Func<SequenceRun, Task<SequenceDescription[]>> run)
    {
        var name = new Argument<string>("name") { Description = "Name of the sequence." };
        var blocks = new Argument<string[]>("keys") { Description = "Keys of stored blocks, in the order of the tokens.", Arity = keys };
        if (takesName) command.Arguments.Add(name);
        if (keys.MaximumNumberOfValues > 0) command.Arguments.Add(blocks);
        Option<bool> json = JsonOption.AddTo(command);
        var options = new BlockOptions(command);
        var connection = new ConnectionOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            await using RoutedConnection client = await connection.ConnectRoutedAsync(parsed, cancel);
            KvClusterNamespace ns = await options.OpenAsync(client, parsed, register: false, cancel);
            BlockId[] ids = keys.MaximumNumberOfValues > 0 ? options.Ids(parsed, ns, parsed.GetValue(blocks) ?? []) : [];
            var asked = new SequenceRun(parsed, ns, takesName ? parsed.GetValue(name)! : "", ids, cancel);
            SequenceRow[] rows = [.. (await run(asked)).Select(SequenceRow.Of)];
            if (parsed.GetValue(json)) output.Json(rows);
            else output.Table(SequenceRow.TableOf(rows));
            return ExitCodes.Ok;
        });
        return command;
    }

    /// <summary>Appends the blocks that were named, if any.</summary>
    /// <param name="sequence">To which.</param>
    /// <param name="run">Which blocks.</param>
    /// <param name="tokens">Tokens in them; null when all are full.</param>
    /// <param name="replaceLast">True when the first takes the place of the last block so far.</param>
    public static async Task<SequenceDescription> AppendAsync(KvClusterSequence sequence, SequenceRun run, long? tokens, bool replaceLast)
    {
        if (run.Ids.Length == 0) return sequence.Latest;
        long full = (long)run.Ids.Length * run.Namespace.Descriptor.Profile.BlockTokens;
        return (await sequence.AppendAsync(run.Ids, tokens ?? full, replaceLast, cancellationToken: run.Cancel)).OrFail();
    }
}
