using System.Collections.Concurrent;
using System.Diagnostics;

namespace KvTier.Testing;

/// <summary>Runs python3, the reference peer of formats that other languages read too.</summary>
public static class Python
{
    private static readonly ConcurrentDictionary<string, string> found = new();

    /// <summary>Runs a program and waits for it.</summary>
    /// <param name="program">Source text.</param>
    /// <param name="arguments">What it finds in <c>sys.argv[1:]</c>.</param>
    /// <returns>Its standard output.</returns>
    /// <exception cref="InvalidOperationException">python3 is missing, failed, or took more than 3 min; the message says which.</exception>
    public static string Run(string program, params ReadOnlySpan<string> arguments) => RunOn("python3", program, arguments);

    /// <summary>Runs a program that imports a module: on the Python that <c>KVTIER_TEST_PYTHON</c> names, that of the PATH, or the
    /// system's, whichever first has it.</summary>
    /// <param name="module">The module, such as <c>numpy</c>.</param>
    /// <param name="program">Source text.</param>
    /// <param name="arguments">What it finds in <c>sys.argv[1:]</c>.</param>
    /// <returns>Its standard output.</returns>
    /// <exception cref="InvalidOperationException">No Python has the module, or the program failed or took more than 3 min.</exception>
    public static string RunWith(string module, string program, params ReadOnlySpan<string> arguments) =>
        RunOn(PathWith(module), program, arguments);

    /// <summary>The Python that <see cref="RunWith"/> takes, for processes that are to be talked with.</summary>
    /// <param name="module">A module that it must have, or several: <c>numpy, msgpack</c>.</param>
    /// <exception cref="InvalidOperationException">No Python has it.</exception>
    public static string PathWith(string module) => found.GetOrAdd(module, Find);

    private static string Find(string module)
    {
        string?[] candidates = [Environment.GetEnvironmentVariable("KVTIER_TEST_PYTHON"), "python3", "/usr/bin/python3"];
        foreach (string? candidate in candidates)
        {
            if (candidate is not { Length: > 0 }) continue;
            try
            {
                RunOn(candidate, $"import {module}", []);
                return candidate;
            }
            catch (InvalidOperationException)
            {
                // The next one may have it.
            }
        }

        throw new InvalidOperationException($"this test needs a python3 that has {module}");
    }

    private static string RunOn(string python, string program, ReadOnlySpan<string> arguments)
    {
        var start = new ProcessStartInfo(python)
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
        if (!process.WaitForExit(TimeSpan.FromMinutes(3)))
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException("python3 did not end within 3 min");
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
            throw new InvalidOperationException($"this test needs {start.FileName}", e);
        }
    }
}
