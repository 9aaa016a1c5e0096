using System.CommandLine;

namespace KvTier.Cli;

/// <summary><c>kvtier cluster down</c>: stops the cluster on this machine and removes all that it left.</summary>
internal static class ClusterDownCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("down", "Stop the cluster on this machine and remove its data, logs and sockets.");
        Option<string> folder = ClusterCommand.FolderOption();
        Option<bool> json = JsonOption.AddTo(command);
        command.Options.Add(folder);
        command.Run(output, async (parsed, _) =>
        {
            string path = parsed.GetValue(folder)!;
            (int stopped, int killed) = Directory.Exists(path) ? await StopAsync(path) : (0, 0);
            if (parsed.GetValue(json)) output.Json(new { Stopped = stopped, Killed = killed });
            else if (stopped == 0) output.Line("no cluster is up");
            else output.Line($"stopped {stopped} processes{(killed == 0 ? "" : $", {killed} of them by force")}");
            return ExitCodes.Ok;
        });
        return command;
    }

    private static async Task<(int Stopped, int Killed)> StopAsync(string path)
    {
        using LocalClusterFolder folder = LocalClusterFolder.Open(path);
        return await LocalClusterStop.RunAsync(folder);
    }
}
