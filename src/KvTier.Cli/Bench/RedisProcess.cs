using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KvTier.Cli;

/// <summary>A redis-server of our own: memory only, on a free port of the loopback and a Unix socket.</summary>
internal sealed class RedisProcess : IAsyncDisposable
{
    private readonly Process process;

    private RedisProcess(Process process, string socketPath, int port)
    {
        this.process = process;
        SocketPath = socketPath;
        Port = port;
    }

    /// <summary>Path of the Unix socket.</summary>
    public string SocketPath { get; }

    /// <summary>TCP port.</summary>
    public int Port { get; }

    /// <summary>The Unix socket.</summary>
    public EndPoint Unix => new UnixDomainSocketEndPoint(SocketPath);

    /// <summary>The TCP endpoint.</summary>
    public EndPoint Tcp => new IPEndPoint(IPAddress.Loopback, Port);

    /// <summary>Starts one.</summary>
    /// <returns>Null where redis-server is not on the PATH.</returns>
    public static async Task<RedisProcess?> TryStartAsync(string folder, CancellationToken cancel)
    {
        if (FindOnPath("redis-server") is not { } path) return null;
        string socketPath = Path.Combine(folder, "redis");
        int port = FreePort();
        var start = new ProcessStartInfo(path)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        string[] arguments =
        [
            "--port", $"{port}", "--bind", "127.0.0.1", "--unixsocket", socketPath, "--save", "", "--appendonly", "no",
            "--loglevel", "warning",
        ];
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        Process started = Process.Start(start)!;
        started.OutputDataReceived += (_, _) => { };
        started.ErrorDataReceived += (_, _) => { };
        started.BeginOutputReadLine();
        started.BeginErrorReadLine();
        var redis = new RedisProcess(started, socketPath, port);
        for (int attempt = 0; attempt < 100 && !started.HasExited; attempt++)
        {
            try
            {
                using var probe = new RespSocket(redis.Unix);
                return redis;
            }
            catch (SocketException)
            {
                await Task.Delay(50, cancel);
            }
        }

        await redis.DisposeAsync();
        return null;
    }

    /// <summary>
    /// Asks redis-benchmark for its own figure, over as many keys as we use. It sets them first, or its gets would all miss.
    /// </summary>
    /// <returns>Operations a second; null where it is not on the PATH or says nothing.</returns>
    public async Task<double?> BenchmarkAsync(string test, int bytes, int keys, int clients, int count, bool unix, CancellationToken cancel)
    {
        if (FindOnPath("redis-benchmark") is not { } path) return null;
        var start = new ProcessStartInfo(path) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        string[] where = unix ? ["-s", SocketPath] : ["-p", $"{Port}"];
        string[] arguments =
            [.. where, "-t", "set,get", "-r", $"{keys}", "-d", $"{bytes}", "-c", $"{clients}", "-n", $"{count}", "--csv"];
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using Process benchmark = Process.Start(start)!;
        string text = await benchmark.StandardOutput.ReadToEndAsync(cancel);
        await benchmark.WaitForExitAsync(cancel);
        string? line = text.Split('\n').FirstOrDefault(row => row.StartsWith($"\"{test}\"", StringComparison.OrdinalIgnoreCase));
        return line is not null && double.TryParse(
            line.Split(',')[1].Trim('"'), NumberStyles.Float, CultureInfo.InvariantCulture, out double rate) ? rate : null;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private static string? FindOnPath(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
