using System.Diagnostics;
using System.Reflection;
using System.Text.Json;

namespace KvTier.Cli;

/// <summary>Times of repeated work, in s.</summary>
/// <param name="Count">How often it ran.</param>
/// <param name="P50">Median.</param>
/// <param name="P99">99th percentile.</param>
internal sealed record PeerTimes(long Count, double P50, double P99);

/// <summary>A Python process that does the same work as KvTier on the same data, on demand: one line in, one line out.</summary>
internal sealed class PythonPeer : IAsyncDisposable
{
    private const string Script = "numpy_recall.py";
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

    /// <summary>Finds a Python that has a module: the one that <c>KVTIER_TEST_PYTHON</c> names, that of the PATH, or the
    /// system's.</summary>
    /// <returns>Null where there is none.</returns>
    public static string? Find(string module)
    {
        string?[] candidates = [Environment.GetEnvironmentVariable("KVTIER_TEST_PYTHON"), "python3", "/usr/bin/python3"];
        return Array.Find(candidates, candidate => candidate is { Length: > 0 } && Has(candidate, module));
    }

    /// <summary>Starts one.</summary>
    /// <param name="folder">Has the arrays as <c>.npy</c> files.</param>
    /// <param name="budgetChunks">Chunks chosen of each KV head.</param>
    /// <param name="chunkTokens">Tokens of a chunk.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <returns>Null where there is no Python with NumPy.</returns>
    public static async Task<PythonPeer?> TryStartAsync(string folder, int budgetChunks, int chunkTokens, CancellationToken cancel)
    {
        if (Find("numpy") is not { } python) return null;
        var start = new ProcessStartInfo(python, ["-c", Source(), folder, $"{budgetChunks}", $"{chunkTokens}"])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["OPENBLAS_NUM_THREADS"] = "2";
        Process started = Process.Start(start)!;
        JsonElement ready = JsonDocument.Parse(await ReadLineAsync(started, cancel)).RootElement;
        string versions = $"numpy {ready.GetProperty("numpy").GetString()}";
        if (ready.GetProperty("torch").GetString() is { } torch) versions += $", torch {torch}";
        return new PythonPeer(started, versions);
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

    private static string Source()
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Script)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
