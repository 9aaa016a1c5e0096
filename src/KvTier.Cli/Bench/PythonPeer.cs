using System.Diagnostics;
using System.Reflection;
using System.Text.Json;

namespace KvTier.Cli;

/// <summary>Times of repeated work, in s.</summary>
/// <param name="Count">How often it ran.</param>
/// <param name="P50">Median.</param>
/// <param name="P99">99th percentile.</param>
/// <param name="Rate">Runs a second; 0 where it was not measured.</param>
internal sealed record PeerTimes(long Count, double P50, double P99, double Rate = 0);

/// <summary>A Python process that does the same work as KvTier on the same data, on demand: one line in, one line out.</summary>
internal sealed class PythonPeer : IAsyncDisposable
{
    private static readonly TimeSpan answerDeadline = TimeSpan.FromSeconds(120);
    private static readonly JsonSerializerOptions json = new(JsonSerializerDefaults.Web);
    private readonly Process process;

    private PythonPeer(Process process, string versions)
    {
        this.process = process;
        Versions = versions;
    }

    /// <summary>The libraries, such as <c>numpy 1.24.2, torch 1.13.0</c>.</summary>
    public string Versions { get; }

    /// <summary>True when PyTorch is there too.</summary>
    public bool HasTorch => Versions.Contains("torch", StringComparison.Ordinal);

    /// <summary>Finds a Python that has a module, or several separated by commas: the one that <c>KVTIER_TEST_PYTHON</c> names, that of
    /// the PATH, or the system's.</summary>
    /// <returns>Null where there is none.</returns>
    public static string? Find(string module)
    {
        string?[] candidates = [Environment.GetEnvironmentVariable("KVTIER_TEST_PYTHON"), "python3", "/usr/bin/python3"];
        return Array.Find(candidates, candidate => candidate is { Length: > 0 } && Has(candidate, module));
    }

    /// <summary>Starts one.</summary>
    /// <param name="script">The script, a resource of this assembly. It says in one line of JSON which versions of what it runs on.</param>
    /// <param name="python">The interpreter.</param>
    /// <param name="environment">Variables of the process; the script's arguments are its own.</param>
    /// <param name="arguments">Arguments of the script.</param>
    /// <param name="cancel">Ends the wait.</param>
    public static async Task<PythonPeer> StartAsync(
        string script, string python, IReadOnlyDictionary<string, string> environment, string[] arguments, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(python, ["-c", Source(script), .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        Process started = Process.Start(start)!;
        JsonElement ready = JsonDocument.Parse(await ReadLineAsync(started, cancel)).RootElement;
        IEnumerable<string> versions = ready.EnumerateObject()
            .Where(library => library.Value.ValueKind == JsonValueKind.String).Select(library => $"{library.Name} {library.Value}");
        return new PythonPeer(started, string.Join(", ", versions));
    }

    /// <summary>Runs work for a time.</summary>
    /// <exception cref="CliException">The process ended, or did not answer.</exception>
    public async Task<PeerTimes> RunAsync(string name, TimeSpan time, CancellationToken cancel)
    {
        await process.StandardInput.WriteLineAsync($"{name} {time.TotalSeconds}".AsMemory(), cancel);
        await process.StandardInput.FlushAsync(cancel);
        return JsonSerializer.Deserialize<PeerTimes>(await ReadLineAsync(process, cancel), json)!;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private static async Task<string> ReadLineAsync(Process process, CancellationToken cancel)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        deadline.CancelAfter(answerDeadline);
        try
        {
            return await process.StandardOutput.ReadLineAsync(deadline.Token)
                ?? throw new CliException(ExitCodes.Fault, "bench: the Python baseline ended");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            process.Kill();
            throw new CliException(ExitCodes.Fault, $"bench: the Python baseline did not answer within {answerDeadline.TotalSeconds} s");
        }
    }

    private static bool Has(string python, string module)
    {
        try
        {
            using Process probe = Process.Start(new ProcessStartInfo(python, ["-c", $"import {module}"])
            {
                UseShellExecute = false,
                RedirectStandardError = true,
            })!;
            probe.StandardError.ReadToEnd();
            probe.WaitForExit();
            return probe.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static string Source(string script)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(script)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
