using System.Diagnostics;

namespace KvTier.Testing;

/// <summary>Runs python3, the reference peer of formats that other languages read too.</summary>
public static class Python
{
    /// <summary>Runs a program and waits for it.</summary>
    /// <param name="program">Source text.</param>
    /// <param name="arguments">What it finds in <c>sys.argv[1:]</c>.</param>
    /// <returns>Its standard output.</returns>
    /// <exception cref="InvalidOperationException">python3 is missing, failed, or took more than 60 s; the message says which.</exception>
    public static string Run(string program, params ReadOnlySpan<string> arguments)
    {
        var start = new ProcessStartInfo("python3")
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(program);
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using Process process = Start(start);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromSeconds(60)))
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException("python3 did not end within 60 s");
        }

        string text = output.GetAwaiter().GetResult();
        return process.ExitCode == 0
            ? text
            : throw new InvalidOperationException($"python3 ended with {process.ExitCode}: {errors.GetAwaiter().GetResult()}");
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start) ?? throw new InvalidOperationException("python3 did not start");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException("this test needs python3 on the PATH", e);
        }
    }
}
