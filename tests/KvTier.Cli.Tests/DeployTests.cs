using System.Diagnostics;
using System.Globalization;
using KvTier.Testing;

namespace KvTier.Cli.Tests;

/// <summary>The unit and the options in <c>deploy/</c>.</summary>
public class DeployTests
{
    private static readonly string unit = RepositoryFiles.PathOf("deploy", "kvtier.service");
    private static readonly string options = RepositoryFiles.PathOf("deploy", "silo.yaml");

    [Fact]
    public async Task SiloOptions_Checked_AreValid()
    {
        CliRun run = await CliRun.Async("serve", "--config", options, "--check-config");
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
    }

    [Fact]
    public void Unit_Command_IsTakenByTheCommandLineAndHasTimeToDrain()
    {
        string[] command = Setting("ExecStart").Split(' ');
        Assert.Equal(["/opt/kvtier/kvtier", "serve", "--config", "/etc/kvtier/silo.yaml"], command);
        Assert.Empty(CommandTree.Create(new CliOutput(TextWriter.Null, TextWriter.Null)).Parse(command[1..]).Errors);
        string drain = File.ReadLines(options).Single(line => line.StartsWith("drainSeconds: ", StringComparison.Ordinal));
        Assert.True(Number(Setting("TimeoutStopSec")) > Number(drain["drainSeconds: ".Length..]));
        Assert.Equal($"{ExitCodes.Usage} {ExitCodes.Refused}", Setting("RestartPreventExitStatus"));
    }

    [Fact]
    public async Task Unit_ByTheSystemsOwnCheck_HasNoFaults()
    {
        // The program need not be installed here; the check asks for one that is there.
        string copy = Path.Combine(Path.GetTempPath(), $"kvtier-{Guid.NewGuid():N}.service");
        await File.WriteAllTextAsync(
            copy, (await File.ReadAllTextAsync(unit)).Replace("/opt/kvtier/kvtier", "/bin/true", StringComparison.Ordinal));
        try
        {
            using Process? check = StartCheck(copy);
            // Where there is no systemd, the shape is all that can be checked.
            if (check is null) Assert.Equal(["[Unit]", "[Service]", "[Install]"], File.ReadLines(unit).Where(line => line.StartsWith('[')));
            else Assert.Equal((0, ""), (await ExitAsync(check), (await check.StandardError.ReadToEndAsync()).Trim()));
        }
        finally
        {
            File.Delete(copy);
        }
    }

    private static Process? StartCheck(string path)
    {
        try
        {
            return Process.Start(new ProcessStartInfo("systemd-analyze", ["verify", path])
            {
                UseShellExecute = false,
                RedirectStandardError = true,
            });
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    private static async Task<int> ExitAsync(Process process)
    {
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return process.ExitCode;
    }

    private static string Setting(string name) =>
        File.ReadLines(unit).Single(line => line.StartsWith(name + "=", StringComparison.Ordinal))[(name.Length + 1)..];

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
