using System.CommandLine;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary><c>kvtier cluster drain</c> and <c>undrain</c>: a silo gives its groups to the others, or takes its share again.</summary>
internal static class ClusterDrainCommand
{
    public static Command Create(CliOutput output, bool draining)
    {
        string verb = draining ? "drain" : "undrain";
        var command = new Command(verb, draining
            ? "Have a silo give its groups to the others, and wait until it holds nothing."
            : "Have a silo that was drained take its share of the groups again.");
        var silo = new Argument<string>("silo") { Description = "Name of the silo." };
        command.Arguments.Add(silo);
        var change = new ClusterChangeRun(command);
        command.Run(output, (parsed, cancel) =>
        {
            string name = parsed.GetValue(silo)!;
            return change.RunAsync(output, parsed, verb, [name], status => draining ? BlocksLeft(status, name) : null, cancel);
        });
        return command;
    }

    private static string? BlocksLeft(ClusterStatus status, string name) =>
        status.Silos.FirstOrDefault(silo => silo.Name == name) is { Blocks: > 0 } silo ? $"{silo.Blocks} blocks to leave {name}" : null;
}
