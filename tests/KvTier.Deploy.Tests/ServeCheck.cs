using System.Diagnostics;

namespace KvTier.Deploy.Tests;

/// <summary>Has <c>kvtier serve --check-config</c> look at a command line and its environment.</summary>
internal static class ServeCheck
{
    /// <summary>Checks.</summary>
    /// <param name="arguments">All arguments, <c>serve</c> first.</param>
    /// <param name="environment">Variables besides those of the test.</param>
    /// <returns>The options as the silo understands them, by name.</returns>
    public static Dictionary<string, string> Accept(IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        Assert.Equal("serve", arguments[0]);
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "kvtier"), [.. arguments, "--check-config", "--json"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(1)));
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', arguments)}: {errors.GetAwaiter().GetResult()}");
        return JsonSerializer.Deserialize<Dictionary<string, string>>(output)!;
    }
}
