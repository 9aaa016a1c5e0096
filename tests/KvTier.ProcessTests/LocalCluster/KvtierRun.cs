using System.Diagnostics;

namespace KvTier.ProcessTests;

/// <summary>One run of <c>kvtier</c> as a process of its own.</summary>
internal sealed record KvtierRun(int ExitCode, string Out, string Error)
{
    public static Task<KvtierRun> Async(params string[] arguments) => WithPathAsync(null, arguments);

    /// <summary>The same where programs are found on another path.</summary>
    public static async Task<KvtierRun> WithPathAsync(string? path, params string[] arguments)
    {
        using Process process = Start(path, arguments);
        Task<string> text = process.StandardOutput.ReadToEndAsync(TestSilo.Cancel);
        string errors = await process.StandardError.ReadToEndAsync(TestSilo.Cancel);
        await process.WaitForExitAsync(TestSilo.Cancel);
        return new KvtierRun(process.ExitCode, await text, errors);
    }

    /// <summary>Starts one and does not wait for it.</summary>
    public static Process Start(string? path, params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "kvtier"), arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (path is not null) start.Environment["PATH"] = path;
        return Process.Start(start)!;
    }

    /// <summary>Stdout as one JSON document, of a run that went well.</summary>
    public JsonElement Json()
    {
        Assert.True(ExitCode == 0, $"exit code {ExitCode}: {Error}");
        using JsonDocument document = JsonDocument.Parse(Out);
        return document.RootElement.Clone();
    }
}
