using System.Diagnostics;

namespace KvTier.Protocol.Tests;

/// <summary>Files of the repository, and python3 with msgpack as the reference peer.</summary>
internal static class Repository
{
    private static readonly Lazy<string> python = new(FindPython);

    public static string Root { get; } = FindRoot();

    public static string GoldenPath => Path.Combine(Root, "tests", "golden");

    /// <summary>Runs a Python script with the given input and returns what it prints; fails with its errors otherwise.</summary>
    public static string RunPython(string script, string input, params string[] arguments)
    {
        (int exitCode, string output, string errors) = Run(python.Value, [script, .. arguments], input);
        Assert.True(exitCode == 0, $"{Path.GetFileName(script)} ended with {exitCode}: {errors}");
        return output;
    }

    private static (int ExitCode, string Output, string Errors) Run(string file, string[] arguments, string input)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"could not start {file}");
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        if (!process.WaitForExit(180_000))
        {
            process.Kill();
            Assert.Fail($"{file} did not end within 180 s");
        }

        return (process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }

    private static string FindPython()
    {
        foreach (string candidate in new[] { "python3", "/usr/bin/python3" })
        {
            try
            {
                if (Run(candidate, ["-c", "import msgpack"], "").ExitCode == 0) return candidate;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                continue;
            }
        }

        throw new InvalidOperationException("these tests need python3 with the msgpack module (Debian: python3-msgpack)");
    }

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "KvTier.sln"))) folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("KvTier.sln is in no folder above the tests");
    }
}
