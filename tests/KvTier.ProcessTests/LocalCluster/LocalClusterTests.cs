using System.Diagnostics;
using KvTier.Cli;

namespace KvTier.ProcessTests;

/// <summary><c>kvtier cluster up</c> and <c>down</c>, each with a real etcd and real silos.</summary>
public sealed class LocalClusterTests : IDisposable
{
    private readonly TempFolder temp = new();

    private string Folder => temp.File("c");

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task Up_ThenDown_ServesAndLeavesNothing()
    {
        try
        {
            JsonElement up = (await UpAsync(3)).Json();
            int[] pids = PidsOf(up);
            Assert.Equal(4, pids.Length);
            Assert.All(pids, pid => Assert.NotNull(ProcessIdentity.Of(pid)));
            JsonElement status = (await KvtierRun.Async("cluster", "status", "--folder", Folder, "--json")).Json();
            Assert.Equal("local", status.GetProperty("cluster").GetString());
            JsonElement[] silos = [.. status.GetProperty("silos").EnumerateArray()];
            Assert.Equal(["silo-1", "silo-2", "silo-3"], silos.Select(silo => silo.GetProperty("name").GetString()));
            Assert.All(silos, silo => Assert.True(silo.GetProperty("member").GetBoolean() && silo.GetProperty("alive").GetBoolean()));
            Assert.Equal(1.0, silos.Sum(silo => silo.GetProperty("share").GetDouble()), 2);

            KvtierRun again = await UpAsync(3);
            Assert.Equal(ExitCodes.Refused, again.ExitCode);
            Assert.Contains("a cluster is up already: 4 processes", again.Error, StringComparison.Ordinal);
            Assert.All(pids, pid => Assert.NotNull(ProcessIdentity.Of(pid)));

            JsonElement down = (await DownAsync()).Json();
            Assert.Equal((4, 0), (down.GetProperty("stopped").GetInt32(), down.GetProperty("killed").GetInt32()));
            AssertNothingLeft(pids);
            Assert.Equal(0, (await DownAsync()).Json().GetProperty("stopped").GetInt32());
        }
        finally
        {
            await DownAsync();
        }
    }

    [Fact]
    public async Task Down_AfterASiloWasKilled_LeavesNothing()
    {
        try
        {
            JsonElement up = (await UpAsync(2)).Json();
            int[] pids = PidsOf(up);
            using (var killed = Process.GetProcessById(pids[0])) killed.Kill();
            Assert.True(SpinWait.SpinUntil(() => ProcessIdentity.Of(pids[0]) is not { IsAlive: true }, TimeSpan.FromSeconds(30)));
            Assert.Equal(2, (await DownAsync()).Json().GetProperty("stopped").GetInt32());
            AssertNothingLeft(pids);
        }
        finally
        {
            await DownAsync();
        }
    }

    [Fact]
    public async Task Up_SiloThatCannotStart_SaysWhyAndLeavesNothing()
    {
        KvtierRun failed = await UpAsync(2, "--host-bytes", "1");
        Assert.NotEqual(0, failed.ExitCode);
        Assert.Contains("hostBytes", failed.Error, StringComparison.Ordinal);
        Assert.Single(failed.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.False(Directory.Exists(Folder));
        Assert.Empty(ProcessesOf(Folder));
    }

    [Fact]
    public async Task Up_WithoutEtcd_SaysWhatToInstall()
    {
        KvtierRun failed = await KvtierRun.WithPathAsync(temp.Path, "cluster", "up", "--folder", Folder);
        Assert.Equal(ExitCodes.Refused, failed.ExitCode);
        Assert.Contains("apt-get install etcd-server", failed.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Folder));
    }

    [Fact]
    public async Task Down_AfterAnUpThatWasKilled_LeavesNothing()
    {
        try
        {
            using Process up = KvtierRun.Start(null, "cluster", "up", "--silos", "3", "--folder", Folder);
            var clock = Stopwatch.StartNew();
            while (LocalClusterFolder.Find(Folder) is not { Silos.Count: >= 1 })
            {
                Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), "no silo was started");
                await Task.Delay(5, TestSilo.Cancel);
            }

            up.Kill();
            await up.WaitForExitAsync(TestSilo.Cancel);
            Assert.NotEmpty(ProcessesOf(Folder));
            Assert.Equal(0, (await DownAsync()).ExitCode);
            Assert.False(Directory.Exists(Folder));
            Assert.Empty(ProcessesOf(Folder));
        }
        finally
        {
            await DownAsync();
        }
    }

    [Fact]
    public async Task Drain_SiloAndBack_TakesItsShareAndGivesItBack()
    {
        try
        {
            Assert.Equal(0, (await UpAsync(3, "--replicas", "2")).ExitCode);
            JsonElement drained = (await KvtierRun.Async("cluster", "drain", "silo-2", "--folder", Folder, "--json")).Json();
            Assert.True(drained.GetProperty("settled").GetBoolean());
            Assert.Equal((true, 0.0), await SiloAsync("silo-2"));
            Assert.False((await KvtierRun.Async("cluster", "drain", "silo-2", "--folder", Folder, "--json"))
                .Json().GetProperty("changed").GetBoolean());
            Assert.Equal(0, (await KvtierRun.Async("cluster", "undrain", "silo-2", "--folder", Folder)).ExitCode);
            (bool draining, double share) = await SiloAsync("silo-2");
            Assert.False(draining);
            Assert.InRange(share, 0.30, 0.37);
            Assert.Equal(0, (await KvtierRun.Async("cluster", "replicas", "default", "3", "--folder", Folder)).ExitCode);
            Assert.Equal(
                3, (await KvtierRun.Async("cluster", "status", "--folder", Folder, "--json")).Json().GetProperty("replicas").GetInt32());
            KvtierRun unknown = await KvtierRun.Async("cluster", "drain", "silo-9", "--folder", Folder);
            Assert.Equal(ExitCodes.Usage, unknown.ExitCode);
            Assert.Contains("silo-1, silo-2, silo-3", unknown.Error, StringComparison.Ordinal);
        }
        finally
        {
            await DownAsync();
        }
    }

    /// <summary>Processes that have a text in their command line.</summary>
    private static List<int> ProcessesOf(string text)
    {
        var found = new List<int>();
        foreach (string folder in Directory.GetDirectories("/proc"))
        {
            try
            {
                if (int.TryParse(Path.GetFileName(folder), out int pid) && ProcessIdentity.Of(pid) is { IsAlive: true }
                    && File.ReadAllText(Path.Combine(folder, "cmdline")).Contains(text, StringComparison.Ordinal))
                    found.Add(pid);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has ended meanwhile.
            }
        }

        return found;
    }

    private static int[] PidsOf(JsonElement up) =>
        [.. up.GetProperty("silos").EnumerateArray().Append(up.GetProperty("etcd")).Select(each => each.GetProperty("pid").GetInt32())];

    private Task<KvtierRun> UpAsync(int silos, params string[] more)
    {
        // No silo is to lose its lease because the machine stood still for a moment.
        File.WriteAllText(temp.File("c.yaml"), "cluster:\n  leaseMs: 6000\n");
        string[] always = ["--silos", $"{silos}", "--folder", Folder, "--config", temp.File("c.yaml"), "--json"];
        string[] size = more is ["--host-bytes", ..] ? [] : ["--host-bytes", "64MiB"];
        return KvtierRun.Async(["cluster", "up", .. always, .. size, .. more]);
    }

    private Task<KvtierRun> DownAsync() => KvtierRun.Async("cluster", "down", "--folder", Folder, "--json");

    private async Task<(bool Draining, double Share)> SiloAsync(string name)
    {
        JsonElement status = (await KvtierRun.Async("cluster", "status", "--folder", Folder, "--json")).Json();
        JsonElement silo = status.GetProperty("silos").EnumerateArray().Single(each => each.GetProperty("name").GetString() == name);
        return (silo.GetProperty("draining").GetBoolean(), silo.GetProperty("share").GetDouble());
    }

    private void AssertNothingLeft(int[] pids)
    {
        Assert.False(Directory.Exists(Folder));
        Assert.Empty(ProcessesOf(Folder));
        Assert.All(pids, pid => Assert.Empty(Directory.GetFiles("/dev/shm", $"kvtier-{pid}-*")));
    }
}
