using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary><c>kvtier cluster rebalance</c>: moves groups from silos that are too full to silos with room.</summary>
internal static class ClusterRebalanceCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("rebalance", "Move groups from silos that are too full to silos with room.");
        var dryRun = new Option<bool>("--dry-run") { Description = "Say what would be moved, and move nothing." };
        var deadline = new Option<int>("--deadline-s") { Description = "Longest wait, in s.", DefaultValueFactory = _ => 600 };
        command.Options.Add(dryRun);
        command.Options.Add(deadline);
        Option<bool> json = JsonOption.AddTo(command);
        var connection = new ClusterConnection(command);
        command.Run(output, async (parsed, cancel) =>
        {
            if (parsed.GetValue(deadline) is not (> 0 and <= 86_400 and var seconds))
                throw CliException.Usage("--deadline-s", parsed.GetValue(deadline), "1 to 86400");
            await using KvTierClient client = await connection.ConnectAsync(parsed, cancel);
            string[] arguments = parsed.GetValue(dryRun) ? ["--dry-run"] : [];
            string answer = (await client.ClusterAdminAsync("rebalance", arguments, TimeSpan.FromSeconds(seconds), cancel)).OrFail();
            if (parsed.GetValue(json)) output.JsonText(answer);
            else RebalanceTable.Show(output, answer);
            return ExitCodes.Ok;
        });
        return command;
    }
}
