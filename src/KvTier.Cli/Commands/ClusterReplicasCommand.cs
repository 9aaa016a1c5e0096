using System.CommandLine;
using System.Globalization;

namespace KvTier.Cli;

/// <summary><c>kvtier cluster replicas</c>: how many silos hold each group.</summary>
internal static class ClusterReplicasCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("replicas", "Set how many silos hold each group of a namespace, and wait until they do.");
        var ns = new Argument<string>("namespace") { Description = "tenant/profile, or default for all that have no number of their own." };
        var count = new Argument<int>("count") { Description = "Silos that hold each group, the owner included." };
        command.Arguments.Add(ns);
        command.Arguments.Add(count);
        var change = new ClusterChangeRun(command);
        command.Run(output, (parsed, cancel) => change.RunAsync(
            output, parsed, "replicas", [parsed.GetValue(ns)!, parsed.GetValue(count).ToString(CultureInfo.InvariantCulture)], _ => null,
            cancel));
        return command;
    }
}
