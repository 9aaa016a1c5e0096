using System.CommandLine;

namespace KvTier.Cli;

/// <summary><c>kvtier block</c>: single blocks by hand.</summary>
internal static class BlockCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("block", "Store, fetch, find and remove single blocks.");
        command.Subcommands.Add(BlockPutCommand.Create(output));
        command.Subcommands.Add(BlockGetCommand.Create(output));
        command.Subcommands.Add(BlockPrefixCommand.Create(output));
        command.Subcommands.Add(BlockDescribeCommand.Create(output));
        command.Subcommands.Add(BlockChangeCommand.Delete(output));
        command.Subcommands.Add(BlockChangeCommand.Pin(output));
        command.Subcommands.Add(BlockChangeCommand.Unpin(output));
        return command;
    }
}
