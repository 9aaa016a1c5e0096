using System.CommandLine;

namespace KvTier.Cli;

/// <summary><c>kvtier cluster</c>: a cluster on this machine, and what an operator does with any cluster.</summary>
internal static class ClusterCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("cluster", "Run a cluster on this machine; look at a cluster, drain silos, move groups.");
        command.Subcommands.Add(ClusterUpCommand.Create(output));
        command.Subcommands.Add(ClusterDownCommand.Create(output));
        command.Subcommands.Add(ClusterStatusCommand.Create(output));
        command.Subcommands.Add(ClusterDrainCommand.Create(output, draining: true));
        command.Subcommands.Add(ClusterDrainCommand.Create(output, draining: false));
        command.Subcommands.Add(ClusterMoveCommand.Create(output));
        command.Subcommands.Add(ClusterRebalanceCommand.Create(output));
        command.Subcommands.Add(ClusterReplicasCommand.Create(output));
        return command;
    }

    /// <summary>The option that names the folder of a local cluster.</summary>
    public static Option<string> FolderOption() => new("--folder")
    {
        Description = "Folder of the cluster on this machine.",
        DefaultValueFactory = _ => LocalClusterFolder.Default,
    };
}
