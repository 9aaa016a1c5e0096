using System.CommandLine;

namespace KvTier.Cli;

/// <summary><c>kvtier cluster move</c>: gives one group to a silo.</summary>
internal static class ClusterMoveCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("move", "Move a group of blocks to a silo: reserve there, copy, switch, drop.");
        var group = new Argument<string>("group") { Description = "The group: 32 hexadecimal digits, the id of its first block." };
        var silo = new Argument<string>("silo") { Description = "Name of the silo that is to own it." };
        command.Arguments.Add(group);
        command.Arguments.Add(silo);
        var change = new ClusterChangeRun(command);
        command.Run(output, (parsed, cancel) =>
            change.RunAsync(output, parsed, "move", [parsed.GetValue(group)!, parsed.GetValue(silo)!], _ => null, cancel));
        return command;
    }
}
