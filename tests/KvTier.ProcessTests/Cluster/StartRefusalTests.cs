using KvTier.Cli;
using KvTier.Testing;

namespace KvTier.ProcessTests.Cluster;

/// <summary>A silo that can't be a member does not start, and says what to do.</summary>
public sealed class StartRefusalTests
{
    /// <summary>Whoever has a name keeps it while another one asks for it, however slow the machine is.</summary>
    private static readonly string[] longLease = ["--cluster-lease-ms", "30000"];

    [Fact]
    public async Task Start_ASecondSiloOfOneName_IsRefused()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        using var folder = new TempFolder();
        await using SiloProcess first = await SiloProcess.StartAsync([.. Arguments(etcd, folder, "one"), .. longLease], TestSilo.Cancel);
        string said = await TestSilo.StartRefusedAsync(Arguments(etcd, folder, "one", "data-two"));
        Assert.Contains("one", said, StringComparison.Ordinal);
        Assert.Contains(new Uri(first.Endpoints["tcp"]).Authority, said, StringComparison.Ordinal);
        Assert.Contains("name", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ASecondSiloOfOneDataDirectory_IsRefused()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        using var folder = new TempFolder();
        await using SiloProcess first = await SiloProcess.StartAsync([.. Arguments(etcd, folder, "one"), .. longLease], TestSilo.Cancel);
        string same = await TestSilo.StartRefusedAsync(Arguments(etcd, folder, "two", "data-one"));
        Assert.Contains("data-one", same, StringComparison.Ordinal);

        // A copy of a folder is the folder of another silo, whatever machine it lies on.
        CopyFolder(folder.File("data-one"), folder.File("copy"));
        string copied = await TestSilo.StartRefusedAsync(Arguments(etcd, folder, "two", "copy"));
        Assert.Contains("one", copied, StringComparison.Ordinal);
        Assert.Contains("data", copied, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_AClusterOfAnotherName_IsItsOwnAndAStoredNameIsKept()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        using var folder = new TempFolder();
        await using (SiloProcess first = await SiloProcess.StartAsync(Arguments(etcd, folder, "one"), TestSilo.Cancel))
            Assert.Equal(0, await first.TerminateAsync());
        string said = await TestSilo.StartRefusedAsync([.. Arguments(etcd, folder, "one"), "--cluster-name", "other"]);
        Assert.Contains("other", said, StringComparison.Ordinal);
        Assert.Contains("kvtier", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("protocol")]
    [InlineData("disk")]
    public async Task Start_AClusterOfAnotherVersion_IsRefused(string which)
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        using var folder = new TempFolder();
        await using (SiloProcess first = await SiloProcess.StartAsync(Arguments(etcd, folder, "one"), TestSilo.Cancel))
            Assert.Equal(0, await first.TerminateAsync());
        string key = Assert.Single(await etcd.KeysAsync("/kvtier/format"));
        string stored = await etcd.GetAsync(key);
        string later = System.Text.RegularExpressions.Regex.Replace(
            stored, $"(\"{which}[A-Za-z]*\":)\\s*\\d+", "${1}99", System.Text.RegularExpressions.RegexOptions.None,
                TimeSpan.FromMinutes(1));
        Assert.NotEqual(stored, later);
        await etcd.PutAsync(key, later);
        string said = await TestSilo.StartRefusedAsync(Arguments(etcd, folder, "one"));
        Assert.Contains("99", said, StringComparison.Ordinal);
        Assert.Contains("VersionMismatch", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_EtcdAsksForAPassword_IsRefusedWithoutItAndServedWithIt()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await etcd.RequirePasswordAsync("secret");
        using var folder = new TempFolder();
        string said = await TestSilo.StartRefusedAsync(Arguments(etcd, folder, "one"));
        Assert.Contains("Unauthorized", said, StringComparison.Ordinal);
        Assert.Contains("cluster.etcdUser", said, StringComparison.Ordinal);
        await using SiloProcess silo = await SiloProcess.StartAsync(
            [.. Arguments(etcd, folder, "one"), "--cluster-etcd-user", "root", "--cluster-etcd-password", "secret"], TestSilo.Cancel);
        Assert.NotEmpty(silo.Endpoints);
    }

    [Fact]
    public async Task Start_EtcdDoesNotAnswer_IsRefusedAfterTheDeadline()
    {
        using var folder = new TempFolder();
        string said = await TestSilo.StartRefusedAsync(
            "--port", "0", "--http-enabled", "false", "--etcd", $"http://127.0.0.1:{TestPorts.Reserve()}",
            "--cluster-join-deadline-ms", "1000");
        Assert.Contains("cluster.joinDeadlineMs", said, StringComparison.Ordinal);
    }

    private static string[] Arguments(EtcdProcess etcd, TempFolder folder, string name, string? data = null) =>
    [
        "--name", name, "--port", "0", "--http-enabled", "false", "--host-bytes", "16MiB", "--ssd-bytes", "128MiB",
        "--data-directory", folder.File(data ?? $"data-{name}"), "--etcd", etcd.Endpoint.ToString().TrimEnd('/'),
    ];

    private static void CopyFolder(string from, string to)
    {
        foreach (string folder in Directory.GetDirectories(from, "*", SearchOption.AllDirectories).Prepend(from))
            Directory.CreateDirectory(folder.Replace(from, to, StringComparison.Ordinal));
        foreach (string file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            // The lock is held, and the segments of the log are of no matter here.
            if (Path.GetExtension(file) is ".seg" or ".lock") continue;
            try
            {
                File.Copy(file, file.Replace(from, to, StringComparison.Ordinal));
            }
            catch (FileNotFoundException)
            {
                // The silo has written it under this name and given it its own since.
            }
        }
    }
}
