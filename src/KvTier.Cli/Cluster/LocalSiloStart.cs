using System.Globalization;

namespace KvTier.Cli;

/// <summary>Starts the silos of a local cluster.</summary>
internal static class LocalSiloStart
{
    /// <summary>Starts one; it may not be ready yet.</summary>
    /// <param name="folder">Where it has its data and log.</param>
    /// <param name="options">How it is to be.</param>
    /// <param name="etcd">Address of etcd.</param>
    /// <param name="number">Which silo it is, from 1.</param>
    public static LocalSilo Start(LocalClusterFolder folder, LocalClusterOptions options, Uri etcd, int number)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"silo-{number}");
        string[] config = options.Config is { } file ? ["--config", Path.GetFullPath(file)] : [];
        string[] line =
        [
            .. SiloProcess.Executable(), "serve", .. config, "--name", name, "--etcd", etcd.GetLeftPart(UriPartial.Authority),
            "--cluster-name", options.Name, "--cluster-replicas", Text(options.Replicas), "--port", Text(options.PortOf(number)),
            "--resp-enabled", "true", "--resp-port", Text(options.PortOf(100 + number)), "--http-enabled", "true",
            "--http-port", Text(options.PortOf(200 + number)), "--unix-socket", folder.SocketOf(name),
            "--data-directory", folder.DataOf(name), "--host-bytes", options.HostBytes, "--ssd-bytes", options.SsdBytes,
        ];
        return new LocalSilo(name, DetachedProcess.Start(folder.LogOf(name), folder.FullPath, line), new Dictionary<string, string>());
    }

    /// <summary>Waits until it serves.</summary>
    /// <returns>The silo with its endpoints.</returns>
    /// <exception cref="CliException">It ended, or was not ready in time; the message has what it said.</exception>
    public static async Task<LocalSilo> WhenReadyAsync(
        LocalClusterFolder folder, LocalSilo silo, TimeSpan deadline, CancellationToken cancel)
    {
        string log = folder.LogOf(silo.Name);
        using var late = new CancellationTokenSource(deadline);
        while (true)
        {
            bool alive = silo.Process.IsAlive;
            string[] lines = LogTail.ReadLines(log);
            if (lines.Contains("ready", StringComparer.Ordinal)) return silo with { Endpoints = EndpointsIn(lines) };
            if (!alive) throw new CliException(ExitCodes.Unavailable, $"{silo.Name} ended instead of getting ready: {LogTail.Read(log)}");
            if (late.IsCancellationRequested)
            {
                throw new CliException(
                    ExitCodes.Unavailable, $"{silo.Name} was not ready in {deadline.TotalSeconds:0} s: {LogTail.Read(log)}");
            }

            await Task.Delay(50, cancel);
        }
    }

    private static Dictionary<string, string> EndpointsIn(string[] lines) => lines
        .Select(line => line.Split(' ')).Where(words => words is ["listening", _, _]).ToDictionary(words => words[1], words => words[2]);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
