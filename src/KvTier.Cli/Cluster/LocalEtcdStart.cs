using System.Globalization;
using System.Net;
using System.Net.Sockets;
using KvTier.Cluster;

namespace KvTier.Cli;

/// <summary>Starts the etcd of a local cluster.</summary>
internal static class LocalEtcdStart
{
    private static readonly TimeSpan callDeadline = TimeSpan.FromSeconds(1);

    /// <summary>True when there is an etcd on the PATH.</summary>
    public static bool IsPossible => FindOnPath("etcd") is not null;

    /// <summary>Starts it; it may not answer yet.</summary>
    /// <exception cref="CliException">There is no etcd on the PATH.</exception>
    public static LocalEtcd Start(LocalClusterFolder folder, LocalClusterOptions options)
    {
        string program = FindOnPath("etcd") ?? throw new CliException(
            ExitCodes.Refused, "etcd is not on the PATH; install etcd 3.4 or newer (Debian: apt-get install etcd-server)");
        string client = Address(options.PortOf(0));
        string peer = Address(options.PortOf(50));
        ProcessIdentity process = DetachedProcess.Start(
            folder.LogOf("etcd"), folder.FullPath, program, "--name", options.Name, "--data-dir", folder.DataOf("etcd"),
            "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", $"{options.Name}={peer}");
        return new LocalEtcd(new Uri(client), process);
    }

    /// <summary>Waits until it answers.</summary>
    /// <returns>True when it does; false when it ended, such as by a port that was taken meanwhile.</returns>
    public static async Task<bool> AnswersAsync(LocalEtcd etcd, IClusterEngine engine, TimeSpan deadline, CancellationToken cancel)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        late.CancelAfter(deadline);
        while (etcd.Process.IsAlive && !late.IsCancellationRequested)
        {
            if ((await engine.ReadAsync(callDeadline)).IsOk) return true;
            await Task.Delay(50, cancel);
        }

        return false;
    }

    private static string Address(int port)
    {
        if (port == 0)
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        return string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}");
    }

    private static string? FindOnPath(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(path => Path.Combine(path, name)).FirstOrDefault(File.Exists);
}
