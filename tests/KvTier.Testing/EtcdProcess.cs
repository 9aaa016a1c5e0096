using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace KvTier.Testing;

/// <summary>A real etcd of one member, on ports of the loopback of its own and in a folder of its own.</summary>
public sealed class EtcdProcess : IAsyncDisposable
{
    private const int Sigcont = 18;
    private const int Sigstop = 19;
    private const int Sigterm = 15;
    private static readonly TimeSpan startDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan stopDeadline = TimeSpan.FromSeconds(60);
    private readonly TempDirectory folder;
    private readonly EtcdProcessOptions options;
    private readonly int peerPort;
    private readonly List<string> log = [];
    private Process? process;

    private EtcdProcess(EtcdProcessOptions options)
    {
        this.options = options;
        folder = new TempDirectory();
        Port = options.Port ?? TestPorts.Reserve();
        peerPort = TestPorts.Reserve();
    }

    /// <summary>Port of its clients.</summary>
    public int Port { get; }

    /// <summary>Address for its clients.</summary>
    public Uri Endpoint => new($"{(options.CertificateFile is null ? "http" : "https")}://{options.Address}:{Port}");

    /// <summary>Its process id.</summary>
    public int Pid => process!.Id;

    /// <summary>Starts one and waits until it answers.</summary>
    /// <exception cref="InvalidOperationException">etcd is missing, or did not answer in time; the message has what it said.</exception>
    public static async Task<EtcdProcess> StartAsync(EtcdProcessOptions? options = null)
    {
        // A port that was free may be taken when etcd opens it.
        for (int attempt = 0; ; attempt++)
        {
            var etcd = new EtcdProcess(options ?? new EtcdProcessOptions());
            try
            {
                await etcd.RestartAsync();
                return etcd;
            }
            catch (InvalidOperationException) when (attempt < 2)
            {
                await etcd.DisposeAsync();
            }
            catch
            {
                await etcd.DisposeAsync();
                throw;
            }
        }
    }

    /// <summary>Starts it again, with the same ports and data, after it was stopped or killed.</summary>
    public async Task RestartAsync()
    {
        process = Start();
        var clock = Stopwatch.StartNew();
        while (!await AnswersAsync())
        {
            if (process.HasExited || clock.Elapsed > startDeadline)
            {
                lock (log) throw new InvalidOperationException($"etcd does not answer: {string.Join(" | ", log.TakeLast(20))}");
            }

            await Task.Delay(20);
        }
    }

    /// <summary>Ends it as kill -9 does, and starts it again with the same ports and no data.</summary>
    public async Task LoseDataAsync()
    {
        await KillAsync();
        Directory.Delete(folder["data"], recursive: true);
        await RestartAsync();
    }

    /// <summary>Ends it in order.</summary>
    public Task StopAsync() => EndAsync(Sigterm);

    /// <summary>Ends it as kill -9 does.</summary>
    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync();
    }

    /// <summary>
    /// Stops its threads, and waits until all have stopped, which on a busy machine is not at once: it keeps its connections and says
    /// nothing.
    /// </summary>
    /// <exception cref="TimeoutException">Some still run after a minute.</exception>
    public void Freeze()
    {
        Signal(Pid, Sigstop);
        if (!SpinWait.SpinUntil(AllStopped, startDeadline)) throw new TimeoutException($"etcd, process {Pid}, did not stop");
    }

    /// <summary>Lets its threads go on.</summary>
    public void Thaw() => Signal(Pid, Sigcont);

    /// <summary>Calls its gateway without a deadline of ours, as a test's own hand.</summary>
    /// <param name="path">Path of the call.</param>
    /// <param name="request">An object that becomes JSON.</param>
    public async Task<JsonElement> CallAsync(string path, object request)
    {
        using var http = NewClient();
        var clock = Stopwatch.StartNew();
        while (true)
        {
            using HttpResponseMessage response = await http.PostAsJsonAsync(new Uri(Endpoint, path), request);
            string text = await response.Content.ReadAsStringAsync();
            if (response.IsSuccessStatusCode)
            {
                using JsonDocument document = JsonDocument.Parse(text);
                return document.RootElement.Clone();
            }

            // On a busy machine etcd gives up by itself after some seconds; keys may be read and written twice.
            bool isLate = text.Contains("request timed out", StringComparison.Ordinal) && clock.Elapsed < startDeadline;
            if (!isLate || !path.StartsWith("/v3/kv/", StringComparison.Ordinal))
                throw new InvalidOperationException($"etcd {path}: {text}");
        }
    }

    /// <summary>Writes a key.</summary>
    public Task PutAsync(string key, string value) => CallAsync("/v3/kv/put", new { key = Base64(key), value = Base64(value) });

    /// <summary>Reads a key.</summary>
    public async Task<string> GetAsync(string key)
    {
        JsonElement found = await CallAsync("/v3/kv/range", new { key = Base64(key) });
        return System.Text.Encoding.UTF8.GetString(found.GetProperty("kvs")[0].GetProperty("value").GetBytesFromBase64());
    }

    /// <summary>Lists all keys that begin with a text.</summary>
    public async Task<IReadOnlyList<string>> KeysAsync(string prefix)
    {
        JsonElement found = await CallAsync(
            "/v3/kv/range", new { key = Base64(prefix), range_end = Base64(prefix[..^1] + (char)(prefix[^1] + 1)), keys_only = true });
        return found.TryGetProperty("kvs", out JsonElement kvs)
            ? [.. kvs.EnumerateArray().Select(each => System.Text.Encoding.UTF8.GetString(each.GetProperty("key").GetBytesFromBase64()))]
            : [];
    }

    /// <summary>Ends the lease that a key was written under, if it is still there.</summary>
    public async Task RevokeLeaseOfAsync(string key)
    {
        JsonElement found = await CallAsync("/v3/kv/range", new { key = Base64(key) });
        if (!found.TryGetProperty("kvs", out JsonElement kvs)) return;
        try
        {
            await CallAsync("/v3/lease/revoke", new { ID = kvs[0].GetProperty("lease").GetString() });
        }
        catch (InvalidOperationException gone) when (gone.Message.Contains("lease not found", StringComparison.Ordinal))
        {
            // It has run out meanwhile.
        }
    }

    /// <summary>Forgets the history up to now.</summary>
    public async Task CompactAsync()
    {
        JsonElement now = await CallAsync("/v3/kv/range", new { key = Base64("none") });
        await CallAsync(
            "/v3/kv/compaction", new { revision = now.GetProperty("header").GetProperty("revision").GetString(), physical = true });
    }

    /// <summary>Lets only those in who know the password of <c>root</c>.</summary>
    public async Task RequirePasswordAsync(string password)
    {
        await CallAsync("/v3/auth/user/add", new { name = "root", password });
        await CallAsync("/v3/auth/role/add", new { name = "root" });
        await CallAsync("/v3/auth/user/grant", new { user = "root", role = "root" });
        await CallAsync("/v3/auth/enable", new { });
    }

    /// <summary>Ends it and removes its folder.</summary>
    public async ValueTask DisposeAsync()
    {
        if (process is { HasExited: false }) await KillAsync();
        process?.Dispose();
        folder.Dispose();
    }

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));

    private Process Start()
    {
        string peer = $"http://127.0.0.1:{peerPort}";
        string listen = Endpoint.GetLeftPart(UriPartial.Authority);
        string[] arguments =
        [
            "--name", "test", "--data-dir", folder["data"], "--listen-client-urls", listen, "--advertise-client-urls", listen,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", $"test={peer}",
            "--heartbeat-interval", options.HeartbeatMs.ToString(CultureInfo.InvariantCulture),
            "--election-timeout", (10 * options.HeartbeatMs).ToString(CultureInfo.InvariantCulture),
            .. options.CertificateFile is null ? (string[])[] : ["--cert-file", options.CertificateFile, "--key-file", options.KeyFile!],
            .. options.ClientCaFile is null ? (string[])[] : ["--client-cert-auth", "--trusted-ca-file", options.ClientCaFile],
            .. options.More,
        ];
        var start = new ProcessStartInfo("etcd", arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder.FullPath,
        };
        Process started;
        try
        {
            started = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException("this test needs etcd (Debian: etcd-server)", e);
        }

        started.OutputDataReceived += (_, line) => Note(line.Data);
        started.ErrorDataReceived += (_, line) => Note(line.Data);
        started.BeginOutputReadLine();
        started.BeginErrorReadLine();
        return started;
    }

    /// <summary>True when the state of every thread, the letter after its name in brackets, is T.</summary>
    private bool AllStopped()
    {
        try
        {
            return Directory.GetDirectories($"/proc/{Pid}/task").All(thread =>
            {
                string stat = File.ReadAllText(Path.Combine(thread, "stat"));
                return stat.AsSpan(stat.LastIndexOf(')') + 2)[0] == 'T';
            });
        }
        catch (IOException)
        {
            // A thread that was about to end did so while it was looked at.
            return false;
        }
    }

    private void Note(string? line)
    {
        if (line is null) return;
        lock (log) log.Add(line);
    }

    private async Task<bool> AnswersAsync()
    {
        try
        {
            using var http = NewClient();
            http.Timeout = TimeSpan.FromSeconds(5);
            string health = await http.GetStringAsync(new Uri(Endpoint, "/health"));
            return health.Contains("true", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }

    private HttpClient NewClient()
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        // The test made the certificate; what checks it is what is tested.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        if (options is { ClientCertificateFile: { } certificate, ClientKeyFile: { } key })
        {
            handler.SslOptions.ClientCertificates =
                [System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPemFile(certificate, key)];
        }

        return new HttpClient(handler);
    }

    private async Task EndAsync(int signal)
    {
        Signal(Pid, signal);
        using var deadline = new CancellationTokenSource(stopDeadline);
        await process!.WaitForExitAsync(deadline.Token);
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Signal(int pid, int signal);
}

/// <summary>How a test's etcd is set up.</summary>
public sealed record EtcdProcessOptions
{
    /// <summary>IP address that clients use; members use the loopback. Default 127.0.0.1.</summary>
    public string Address { get; init; } = "127.0.0.1";

    /// <summary>Heartbeat in ms; a tenth of the election timeout. No lease is shorter than 1.5 election timeouts. Default 50.</summary>
    public int HeartbeatMs { get; init; } = 50;

    /// <summary>Port of its clients; null for one that is free. Default null.</summary>
    public int? Port { get; init; }

    /// <summary>PEM file with its certificate; null for no TLS.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM file with the key.</summary>
    public string? KeyFile { get; init; }

    /// <summary>PEM file with the authority of clients; null to let clients in without certificate.</summary>
    public string? ClientCaFile { get; init; }

    /// <summary>PEM file of the test's own client certificate, where clients need one.</summary>
    public string? ClientCertificateFile { get; init; }

    /// <summary>Its key.</summary>
    public string? ClientKeyFile { get; init; }

    /// <summary>More arguments of etcd.</summary>
    public IReadOnlyList<string> More { get; init; } = [];
}
