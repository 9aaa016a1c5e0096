using System.Globalization;
using System.Net.Sockets;

namespace KvTier.ProcessTests.Cluster;

/// <summary>A plain connection to a RESP2 listener that sends inline commands.</summary>
internal sealed class RespCaller : IDisposable
{
    private static readonly TimeSpan longest = TimeSpan.FromSeconds(60);
    private readonly TcpClient client;
    private readonly StreamReader reader;

    public RespCaller(string endpoint)
    {
        var url = new Uri(endpoint.Contains("://", StringComparison.Ordinal) ? endpoint : $"redis://{endpoint}");
        client = new TcpClient(url.Host, url.Port);
        reader = new StreamReader(client.GetStream());
    }

    /// <summary>Sends a command.</summary>
    /// <returns>The first line of the answer, or the value when it is one.</returns>
    public async Task<string> CallAsync(string command)
    {
        await client.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(command + "\r\n"));
        string line = await ReadLineAsync();
        bool isValue = line.StartsWith('$') && int.Parse(line[1..], CultureInfo.InvariantCulture) >= 0;
        return isValue ? await ReadLineAsync() : line;
    }

    public void Dispose()
    {
        reader.Dispose();
        client.Dispose();
    }

    private async Task<string> ReadLineAsync() =>
        await reader.ReadLineAsync().WaitAsync(longest) ?? throw new IOException("the silo closed the connection");
}
