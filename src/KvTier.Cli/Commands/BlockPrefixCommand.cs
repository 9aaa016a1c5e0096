using System.CommandLine;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier block prefix KEY…</c>.</summary>
internal static class BlockPrefixCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("prefix", "Say how many of these ordered keys are there without a gap, and in which tier.");
        var touch = new Option<bool>("--touch") { Description = "Mark the blocks found as used now." };
        command.Options.Add(touch);
        return KeysCommand.Create(output, command, async run =>
        {
            string[] keys = run.Keys;
            var tiers = new TierSet[keys.Length];
            int found = (await run.Namespace.PrefixAsync(
                run.Ids, tiers: tiers, touch: run.Parsed.GetValue(touch), cancellationToken: run.Cancel)).OrFail();
            if (run.Json)
            {
                output.Json(new { keys = keys.Length, found, tiers = tiers[..found].Select(Units.Tiers) });
                return ExitCodes.Ok;
            }

            Table table = new Table().AddColumns("key", "tiers");
            for (int i = 0; i < found; i++) table.AddRow(Markup.Escape(keys[i]), Units.Tiers(tiers[i]));
            if (found > 0) output.Table(table);
            output.Line($"{found} of {keys.Length} keys are here from the first one on");
            return ExitCodes.Ok;
        });
    }
}
