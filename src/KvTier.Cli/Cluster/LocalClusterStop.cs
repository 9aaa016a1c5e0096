using System.Diagnostics;

namespace KvTier.Cli;

/// <summary>Stops a local cluster: the silos, then etcd. What does not stop in time is ended.</summary>
internal static class LocalClusterStop
{
    private static readonly TimeSpan siloDeadline = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan etcdDeadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan killDeadline = TimeSpan.FromSeconds(10);

    /// <summary>Stops it.</summary>
    /// <returns>Processes that ran, and those of them that had to be ended.</returns>
    /// <exception cref="CliException">A process can't be ended.</exception>
    public static async Task<(int Stopped, int Killed)> RunAsync(LocalClusterFolder folder)
    {
        LocalCluster? cluster = folder.Find();
        ProcessIdentity? etcd = cluster?.Etcd?.Process;
        List<ProcessIdentity> running = LocalProcesses.Find(folder.FullPath);
        ProcessIdentity[] silos = [.. running.Where(process => process != etcd)];
        int killed = await StopAsync(silos, siloDeadline);
        if (etcd is not null) killed += await StopAsync([etcd], etcdDeadline);
        foreach (int pid in silos.Concat(cluster?.Silos.Select(silo => silo.Process) ?? []).Select(process => process.Pid).Distinct())
            RemoveShared(pid);
        folder.Remove();
        return (running.Count, killed);
    }

    private static async Task<int> StopAsync(IReadOnlyList<ProcessIdentity> processes, TimeSpan deadline)
    {
        foreach (ProcessIdentity process in processes) process.Terminate();
        await WhenGoneAsync(processes, deadline);
        ProcessIdentity[] left = [.. processes.Where(process => process.IsAlive)];
        foreach (ProcessIdentity process in left) process.Kill();
        await WhenGoneAsync(left, killDeadline);
        return left.FirstOrDefault(process => process.IsAlive) is { } stuck
            ? throw new CliException(ExitCodes.Fault, $"process {stuck.Pid} does not end; look at it and run kvtier cluster down again")
            : left.Length;
    }

    private static async Task WhenGoneAsync(IReadOnlyList<ProcessIdentity> processes, TimeSpan deadline)
    {
        var clock = Stopwatch.StartNew();
        while (processes.Any(process => process.IsAlive) && clock.Elapsed < deadline) await Task.Delay(20);
    }

    /// <summary>Removes shared memory that a silo left which was killed.</summary>
    private static void RemoveShared(int pid)
    {
        if (!Directory.Exists("/dev/shm")) return;
        foreach (string file in Directory.GetFiles("/dev/shm", $"kvtier-{pid}-*")) File.Delete(file);
    }
}
