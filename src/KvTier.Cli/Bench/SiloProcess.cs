using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvTier.Cli;

/// <summary>A silo in a process of its own: <c>kvtier serve</c> of this very executable.</summary>
internal sealed class SiloProcess : IAsyncDisposable
{
    private const int Sigterm = 15;
    private const int Sigcont = 18;
    private const int Sigstop = 19;
    private const int ErrorLinesMax = 1000;
    private static readonly TimeSpan startDeadline = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan stopDeadline = TimeSpan.FromSeconds(60);
    private readonly Process process;
    private bool disposed;

    private SiloProcess(Process process, IReadOnlyDictionary<string, string> endpoints, TimeSpan startTime)
    {
        this.process = process;
        Endpoints = endpoints;
        StartTime = startTime;
    }

    /// <summary>Where it listens: protocol and endpoint.</summary>
    public IReadOnlyDictionary<string, string> Endpoints { get; }

    /// <summary>From the start of the process until it served.</summary>
    public TimeSpan StartTime { get; }

    /// <summary>Its process id.</summary>
    public int Pid => process.Id;

    /// <summary>Starts a silo and waits until it says that it is ready.</summary>
    /// <param name="serveArguments">Arguments of <c>kvtier serve</c>.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <param name="through">A program and its arguments that end by running what follows them, such as <c>unshare --mount</c>;
    /// empty for none.</param>
    /// <exception cref="CliException">It ended instead, or was not ready in time; the message has its exit code
    /// and what it said.</exception>
    public static async Task<SiloProcess> StartAsync(IEnumerable<string> serveArguments, CancellationToken cancel, params string[] through)
    {
        string[] line = [.. through, .. Executable(), "serve", .. serveArguments];
        var info = new ProcessStartInfo(line[0], line[1..])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        long begin = Stopwatch.GetTimestamp();
        Process started = Process.Start(info)!;
        var errors = new List<string>();
        SiloProcess? ready = null;
        started.ErrorDataReceived += (_, text) =>
        {
            if (text.Data is null) return;
            lock (errors)
            {
                errors.Add(text.Data);
                if (errors.Count > ErrorLinesMax) errors.RemoveAt(0);
            }

            Volatile.Read(ref ready)?.OnErrorLine?.Invoke(text.Data);
        };
        started.BeginErrorReadLine();
        var endpoints = new Dictionary<string, string>();
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        deadline.CancelAfter(startDeadline);
        try
        {
            while (await started.StandardOutput.ReadLineAsync(deadline.Token) is { } said)
            {
                string[] words = said.Split(' ');
                if (words is ["ready"])
                {
                    Volatile.Write(ref ready, new SiloProcess(started, endpoints, Stopwatch.GetElapsedTime(begin)));
                    return ready;
                }

                if (words is ["listening", var protocol, var endpoint]) endpoints[protocol] = endpoint;
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            started.Kill();
        }

        await started.WaitForExitAsync(cancel);
        lock (errors)
            throw new CliException(
                ExitCodes.Unavailable, $"the silo process did not get ready (exit code {started.ExitCode}): {string.Join(" | ", errors)}");
    }

    /// <summary>Called with each line that it writes to stderr from now on; from any thread. Default none.</summary>
    public Action<string>? OnErrorLine { get; set; }

    /// <summary>True when it has ended.</summary>
    public bool HasExited => process.HasExited;

    /// <summary>
    /// Stops its threads, as SIGSTOP does, and waits until all have stopped, which on a busy machine is not at once: it keeps its
    /// connections and says nothing.
    /// </summary>
    /// <exception cref="TimeoutException">Some still run after a minute.</exception>
    public void Freeze()
    {
        Signal(process.Id, Sigstop);
        if (!SpinWait.SpinUntil(AllStopped, TimeSpan.FromMinutes(1))) throw new TimeoutException($"process {process.Id} did not stop");
    }

    /// <summary>Lets its threads go on.</summary>
    public void Thaw() => Signal(process.Id, Sigcont);

    /// <summary>Asks it to drain, and waits for its end.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> TerminateAsync()
    {
        if (!process.HasExited) Signal(process.Id, Sigterm);
        using var deadline = new CancellationTokenSource(stopDeadline);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            await KillAsync();
        }

        return process.ExitCode;
    }

    /// <summary>Ends it as kill -9 does.</summary>
    public async Task KillAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (disposed) return;
        disposed = true;
        await KillAsync();
        process.Dispose();
    }

    /// <summary>Program and first arguments that run <c>kvtier</c>.</summary>
    public static string[] Executable()
    {
        string host = Path.Combine(AppContext.BaseDirectory, "kvtier");
        return File.Exists(host) ? [host]
            : [Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", Path.Combine(AppContext.BaseDirectory, "kvtier.dll")];
    }

    /// <summary>True when the state of every thread, the letter after its name in brackets, is T.</summary>
    private bool AllStopped()
    {
        try
        {
            return Directory.GetDirectories($"/proc/{process.Id}/task").All(thread =>
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

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Signal(int pid, int signal);
}
