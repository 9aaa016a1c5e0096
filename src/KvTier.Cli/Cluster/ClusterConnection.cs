using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>How a command reaches a cluster: the endpoint that is named, else the silos of the cluster on this machine.</summary>
internal sealed class ClusterConnection
{
    private readonly Option<string> folder = ClusterCommand.FolderOption();
    private readonly ConnectionOptions connection;

    /// <summary>Adds the options to a command.</summary>
    public ClusterConnection(Command command)
    {
        command.Options.Add(folder);
        connection = new ConnectionOptions(command, EndpointsOf);
    }

    /// <summary>Connects to a silo of the cluster.</summary>
    /// <exception cref="CliException">None can be reached, or it refuses.</exception>
    public Task<KvTierClient> ConnectAsync(ParseResult parsed, CancellationToken cancel) => connection.ConnectAsync(parsed, cancel);

    private IReadOnlyList<string> EndpointsOf(ParseResult parsed)
    {
        IEnumerable<LocalSilo> silos = LocalClusterFolder.Find(parsed.GetValue(folder)!)?.Silos ?? [];
        return [.. silos.Where(silo => silo.Process.IsAlive).Select(silo => silo.Endpoints.GetValueOrDefault("tcp")).OfType<string>()];
    }
}
