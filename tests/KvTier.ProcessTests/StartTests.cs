using System.Globalization;
using KvTier.Cli;

namespace KvTier.ProcessTests;

public class StartTests
{
    [Fact]
    public async Task Serve_FolderOfARunningSilo_IsRefusedAndNamesItsPid()
    {
        using var folder = new TempFolder();
        await using TestSilo owner = await TestSilo.StartAsync(TestSilo.Arguments(folder));
        Assert.Null((await NumberedBlocks.PutAsync(owner.Blocks, 1, AckLevel.Ssd)).Error);
        string said = await TestSilo.StartRefusedAsync(
            [.. TestSilo.Arguments(folder).Select(argument => argument == folder.File("s") ? folder.File("other") : argument)]);
        Assert.Contains(owner.Process.Pid.ToString(CultureInfo.InvariantCulture), said, StringComparison.Ordinal);
        Assert.Contains(folder.File("data"), said, StringComparison.Ordinal);
        Assert.Empty(await NumberedBlocks.MissingAsync(owner.Blocks, [1]));
    }

    [Fact]
    public async Task Serve_NewerFormat_IsRefusedAndNothingIsHarmed()
    {
        using var folder = new TempFolder();
        string[] arguments = TestSilo.Arguments(folder);
        await using (TestSilo silo = await TestSilo.StartAsync(arguments))
        {
            Assert.Null((await NumberedBlocks.PutAsync(silo.Blocks, 1, AckLevel.Ssd)).Error);
            Assert.Equal(0, await silo.Process.TerminateAsync());
        }

        string format = Path.Combine(folder.File("data"), "FORMAT");
        string ours = await File.ReadAllTextAsync(format, TestSilo.Cancel);
        await File.WriteAllTextAsync(format, "kvtier-data 99\n", TestSilo.Cancel);
        string said = await TestSilo.StartRefusedAsync(arguments);
        Assert.Contains("VersionMismatch", said, StringComparison.Ordinal);
        Assert.Contains("99", said, StringComparison.Ordinal);
        await File.WriteAllTextAsync(format, ours, TestSilo.Cancel);
        await using TestSilo again = await TestSilo.StartAsync(arguments);
        Assert.Empty(await NumberedBlocks.MissingAsync(again.Blocks, [1]));
    }

    [Theory]
    [InlineData("hostBytes: lots\n", "hostBytes")]
    [InlineData("nosuch: 1\n", "nosuch")]
    [InlineData("resp: [1, 2\n", "c.yaml")]
    public async Task Serve_ConfigThatCannotBeRead_IsRefusedWithWhatIsWrong(string text, string named)
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder.File("c.yaml"), text, TestSilo.Cancel);
        string said = await TestSilo.StartRefusedAsync("--config", folder.File("c.yaml"));
        Assert.Contains("exit code 2", said, StringComparison.Ordinal);
        Assert.Contains(named, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Serve_PortThatIsTaken_IsRefusedAndNamesIt()
    {
        using var folder = new TempFolder();
        await using SiloProcess first =
            await SiloProcess.StartAsync(["--port", "0", "--http-enabled", "false", "--host-bytes", "64MiB"], TestSilo.Cancel);
        string port = first.Endpoints["tcp"].Split(':')[^1];
        string said = await TestSilo.StartRefusedAsync("--port", port, "--http-enabled", "false", "--host-bytes", "64MiB");
        Assert.Contains(port, said, StringComparison.Ordinal);
        Assert.Equal(0, await first.TerminateAsync());
    }

    [Fact]
    public async Task Serve_HttpPortThatIsTaken_IsRefusedInOneLine()
    {
        await using SiloProcess first =
            await SiloProcess.StartAsync(["--port", "0", "--http-port", "0", "--host-bytes", "64MiB"], TestSilo.Cancel);
        string port = first.Endpoints["http"].Split(':')[^1];
        string said = await TestSilo.StartRefusedAsync("--port", "0", "--http-port", port, "--host-bytes", "64MiB");
        Assert.Contains($"http.port is 127.0.0.1:{port}", said, StringComparison.Ordinal);
        Assert.DoesNotContain(" | ", said, StringComparison.Ordinal);
        Assert.DoesNotContain("SocketException", said, StringComparison.Ordinal);
    }
}
