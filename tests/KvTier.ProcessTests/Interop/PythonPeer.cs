using System.Diagnostics;
using System.Text.Json.Nodes;
using KvTier.Testing;

namespace KvTier.ProcessTests.Interop;

/// <summary>
/// A client in Python, in a process of its own: <c>tests/python/interop_peer.py</c>, asked one thing at a time. It uses the silos' shared
/// memory.
/// </summary>
internal sealed partial class PythonPeer : IPeer, IAsyncDisposable
{
    // Longer than the peer gives itself, so that it can say where it hangs.
    private static readonly TimeSpan answerDeadline = TimeSpan.FromSeconds(120);
    private readonly Process process;
    private readonly Task<string> errors;

    private PythonPeer(Process process)
    {
        this.process = process;
        errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
    }

    /// <summary>Starts it and waits until it has connected.</summary>
    /// <param name="endpoints">Unix sockets of silos.</param>
    public static async Task<PythonPeer> StartAsync(IEnumerable<string> endpoints)
    {
        string script = RepositoryFiles.PathOf("tests", "python", "interop_peer.py");
        var start = new ProcessStartInfo(Python.PathWith("numpy, msgpack"), [script, .. endpoints])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PYTHONPATH"] = RepositoryFiles.PathOf("src", "python");
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        var peer = new PythonPeer(Process.Start(start)!);
        try
        {
            await peer.ReadAsync();
            return peer;
        }
        catch
        {
            await peer.DisposeAsync();
            throw;
        }
    }

    /// <summary>Asks for something that goes well.</summary>
    /// <param name="what">A method of the script's <c>Peer</c>.</param>
    /// <param name="fields">An object with its arguments, named as there.</param>
    public async Task<JsonElement> AskAsync(string what, object fields)
    {
        JsonElement answer = await SendAsync(what, fields);
        Assert.True(answer.TryGetProperty("is", out JsonElement value), $"{what}: {answer}");
        return value;
    }

    /// <summary>Ends it as kill -9 does.</summary>
    public async Task KillAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        process.Dispose();
    }

    /// <summary>Asks for something that has an answer for each block, or is refused.</summary>
    private async Task<string[]> EachAsync(string what, object fields)
    {
        JsonElement answer = await SendAsync(what, fields);
        return answer.TryGetProperty("is", out JsonElement each)
            ? [.. each.EnumerateArray().Select(one => one.ToString())]
            : [$"error {answer.GetProperty("field")}"];
    }

    private async Task<JsonElement> SendAsync(string what, object fields)
    {
        JsonObject request = JsonSerializer.SerializeToNode(fields)!.AsObject();
        request["do"] = what;
        await process.StandardInput.WriteLineAsync(request.ToJsonString().AsMemory(), TestSilo.Cancel);
        await process.StandardInput.FlushAsync(TestSilo.Cancel);
        return await ReadAsync();
    }

    private async Task<JsonElement> ReadAsync()
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestSilo.Cancel);
        deadline.CancelAfter(answerDeadline);
        try
        {
            if (await process.StandardOutput.ReadLineAsync(deadline.Token) is { } line)
            {
                using JsonDocument document = JsonDocument.Parse(line);
                return document.RootElement.Clone();
            }
        }
        catch (OperationCanceledException) when (!TestSilo.Cancel.IsCancellationRequested)
        {
            await KillAsync();
        }

        await process.WaitForExitAsync(TestSilo.Cancel);
        throw new InvalidOperationException($"the client in Python ended with {process.ExitCode}, or was too late: {await errors}");
    }
}
