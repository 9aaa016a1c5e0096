using System.CommandLine;
using KvTier.Client;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier block prefix KEY…</c>.</summary>
internal static class BlockPrefixCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("prefix", "Say how many of these ordered keys are there without a gap, and in which tier.");
        var keys = new Argument<string[]>(
            "keys") { Description = "The keys in the order of the sequence.", Arity = ArgumentArity.OneOrMore };
        var touch = new Option<bool>("--touch") { Description = "Mark the blocks found as used now." };
        Option<bool> json = JsonOption.AddTo(command);
        command.Arguments.Add(keys);
        command.Options.Add(touch);
        var blocks = new BlockOptions(command);
        var connection = new ConnectionOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            string[] names = parsed.GetValue(keys)!;
            await using KvTierClient client = await connection.ConnectAsync(parsed, cancel);
            KvNamespace ns = await blocks.OpenAsync(client, parsed, register: false, cancel);
            var tiers = new TierSet[names.Length];
            int found = (await ns.PrefixAsync(
                blocks.Ids(parsed, ns, names), tiers, parsed.GetValue(touch), cancellationToken: cancel)).OrFail();
            if (parsed.GetValue(json))
            {
                output.Json(new { keys = names.Length, found, tiers = tiers[..found].Select(Units.Tiers) });
                return ExitCodes.Ok;
            }

            Table table = new Table().AddColumns("key", "tiers");
            for (int i = 0; i < found; i++) table.AddRow(Markup.Escape(names[i]), Units.Tiers(tiers[i]));
            if (found > 0) output.Table(table);
            output.Line($"{found} of {names.Length} keys are here from the first one on");
            return ExitCodes.Ok;
        });
        return command;
    }
}
