using System.ComponentModel;
using System.Diagnostics;

namespace KvTier.Silo.Tests.Resp;

/// <summary>Runs programs that judge the listener. A program that is missing fails the test.</summary>
internal static class Tool
{
    public static Process Start(string program, IEnumerable<string> arguments)
    {
        var info = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        try
        {
            Process process = Process.Start(info)!;
            process.ErrorDataReceived += static (_, _) => { };
            return process;
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException(
                $"{program} is needed to judge RESP and can't be started; install it "
                + "(Debian: redis-server, redis-tools, python3-redis)", e);
        }
    }

    /// <summary>Runs a program to its end.</summary>
    /// <returns>What it wrote to both outputs, and its exit code.</returns>
    public static async Task<(string Output, int ExitCode)> RunAsync(string program, IEnumerable<string> arguments,
        string? inputFile = null)
    {
        using Process process = Start(program, arguments);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        Task<string> output = process.StandardOutput.ReadToEndAsync(deadline.Token);
        Task<string> errors = process.StandardError.ReadToEndAsync(deadline.Token);
        try
        {
            if (inputFile is not null)
            {
                await using FileStream input = File.OpenRead(inputFile);
                await input.CopyToAsync(process.StandardInput.BaseStream, deadline.Token);
            }

            process.StandardInput.Close();
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException e)
        {
            process.Kill();
            throw new TimeoutException($"{program} did not end within 120 s", e);
        }

        return (await output + await errors, process.ExitCode);
    }
}
