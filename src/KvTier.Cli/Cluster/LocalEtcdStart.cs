using System.Globalization;
using System.Net;
using System.Net.Sockets;
using KvTier.Cluster;

namespace KvTier.Cli;

/// <summary>Starts the etcd of a local cluster.</summary>
internal static class LocalEtcdStart
{
    private const int PortTries = 3;
    private static readonly TimeSpan callDeadline = TimeSpan.FromSeconds(1);

    /// <summary>True when there is an etcd on the PATH.</summary>
    public static bool IsPossible => FindOnPath("etcd") is not null;

    /// <summary>Starts it and waits until it answers; again, when a port that was free is taken before it opens it.</summary>
    /// <param name="folder">Where its files are to be.</param>
    /// <param name="options">Name and ports.</param>
    /// <param name="deadline">Time for an answer.</param>
    /// <param name="onStart">Called with each that is started, before it answers.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <exception cref="CliException">There is no etcd on the PATH, or it does not answer.</exception>
    public static async Task<LocalEtcd> RunAsync(
        LocalClusterFolder folder, LocalClusterOptions options, TimeSpan deadline, Action<LocalEtcd> onStart, CancellationToken cancel)
    {
        for (int attempt = 1; ; attempt++)
        {
            LocalEtcd etcd = Start(folder, options);
            onStart(etcd);
            await using EtcdEngine engine = EtcdEngine.Create(
                new EtcdOptions { Endpoints = [etcd.Endpoint] }, new ClusterOptions { Cluster = options.Name },
                TimeProvider.System).OrFail();
            if (await AnswersAsync(etcd, engine, deadline, cancel)) return etcd;
            // A free port may be taken before etcd opens it; a port that was asked for is not going to be free.
            if (etcd.Process.IsAlive || attempt == PortTries || options.PortBase != 0)
                throw new CliException(ExitCodes.Unavailable, $"etcd does not answer: {LogTail.Read(folder.LogOf("etcd"))}");
        }
    }

    private static LocalEtcd Start(LocalClusterFolder folder, LocalClusterOptions options)
    {
        string program = FindOnPath("etcd") ?? throw new CliException(
            ExitCodes.Refused, "etcd is not on the PATH; install etcd 3.4 or newer (Debian: apt-get install etcd-server)");
        (string client, string peer) = Addresses(options);
        ProcessIdentity process = DetachedProcess.Start(
            folder.LogOf("etcd"), folder.FullPath, program, "--name", options.Name, "--data-dir", folder.DataOf("etcd"),
            "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", $"{options.Name}={peer}");
        return new LocalEtcd(new Uri(client), process);
    }

    /// <summary>Waits until it answers.</summary>
    /// <returns>True when it does; false when it ended, such as by a port that was taken meanwhile.</returns>
    private static async Task<bool> AnswersAsync(LocalEtcd etcd, IClusterEngine engine, TimeSpan deadline, CancellationToken cancel)
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

    private static (string Client, string Peer) Addresses(LocalClusterOptions options)
    {
        if (options.PortBase != 0) return (Address(options.PortOf(0)), Address(options.PortOf(50)));
        // Both are held until both are known: else the second may be the first again.
        using TcpListener client = new(IPAddress.Loopback, 0), peer = new(IPAddress.Loopback, 0);
        client.Start();
        peer.Start();
        return (Address(((IPEndPoint)client.LocalEndpoint).Port), Address(((IPEndPoint)peer.LocalEndpoint).Port));
    }

    private static string Address(int port) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}");

    private static string? FindOnPath(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(path => Path.Combine(path, name)).FirstOrDefault(File.Exists);
}
