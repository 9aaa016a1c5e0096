using System.Diagnostics;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Resp;

/// <summary>
/// A real redis-server 7.0 on a port of its own. Its absence fails the test: without it nothing says that replies are right.
/// </summary>
internal sealed class RedisServer : IAsyncDisposable
{
    private readonly Process process;
    private readonly string folder;

    private RedisServer(Process process, string folder, int port)
    {
        this.process = process;
        this.folder = folder;
        Port = port;
    }

    public int Port { get; }

    public static async Task<RedisServer> StartAsync(string? password = null)
    {
        string directory = Directory.CreateTempSubdirectory("kvtier-redis-").FullName;
        for (int attempt = 0; ; attempt++)
        {
            int port = TestPorts.Reserve();
            Process server = Tool.Start(
                "redis-server",
                ["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", directory, "--requirepass",
                    password ?? ""]);
            if (await IsReadyAsync(server, port)) return new RedisServer(server, directory, port);
            server.Kill();
            server.Dispose();
            Assert.True(attempt < 5, "redis-server did not answer on any of six ports");
        }
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Waits until the server says that it is ready; its log goes to its standard output.</summary>
    private static async Task<bool> IsReadyAsync(Process server, int port)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (await server.StandardOutput.ReadLineAsync(deadline.Token) is { } line)
        {
            if (!line.Contains("Ready to accept connections", StringComparison.Ordinal)) continue;
            _ = server.StandardOutput.ReadToEndAsync(CancellationToken.None);
            return port > 0;
        }

        return false;
    }
}
