using KvTier.Cluster;

namespace KvTier.Cli;

/// <summary>Starts a cluster on this machine and waits until its map has all silos. When that fails, what was started is stopped.</summary>
internal static class LocalClusterStart
{
    private static readonly TimeSpan etcdDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan siloDeadline = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan mapDeadline = TimeSpan.FromSeconds(60);

    /// <summary>Starts it.</summary>
    /// <exception cref="CliException">There is one already, or it can't be started; the message says why.</exception>
    public static async Task<LocalCluster> RunAsync(
        LocalClusterFolder folder, LocalClusterOptions options, CliProgress progress, CancellationToken cancel)
    {
        options.OrFail();
        if (folder.Find() is not null || LocalProcesses.Find(folder.FullPath).Count > 0) throw AlreadyUp(folder);
        try
        {
            return await StartAsync(folder, options, progress, cancel);
        }
        catch
        {
            await LocalClusterStop.RunAsync(folder);
            throw;
        }
    }

    private static async Task<LocalCluster> StartAsync(
        LocalClusterFolder folder, LocalClusterOptions options, CliProgress progress, CancellationToken cancel)
    {
        var cluster = new LocalCluster { Name = options.Name };
        progress.Say("etcd");
        await LocalEtcdStart.RunAsync(
            folder, options, etcdDeadline, started => cluster = Save(folder, cluster with { Etcd = started }), cancel);
        EtcdEngine engine = EtcdEngine.Create(
            new EtcdOptions { Endpoints = [cluster.Etcd!.Endpoint] }, new ClusterOptions { Cluster = options.Name },
            TimeProvider.System).OrFail();
        await using (engine)
        {
            progress.Add(1);
            for (int number = 1; number <= options.Silos; number++)
            {
                LocalSilo silo = LocalSiloStart.Start(folder, options, cluster.Etcd!.Endpoint, number);
                cluster = Save(folder, cluster with { Silos = [.. cluster.Silos, silo] });
            }

            var ready = new List<LocalSilo>();
            foreach (LocalSilo silo in cluster.Silos)
            {
                progress.Say(silo.Name);
                ready.Add(await LocalSiloStart.WhenReadyAsync(folder, silo, siloDeadline, cancel));
                progress.Add(1);
            }

            progress.Say("map");
            await WhenInMapAsync(engine, cluster.Silos, cancel);
            return Save(folder, cluster with { Silos = ready, Complete = true });
        }
    }

    private static async Task WhenInMapAsync(EtcdEngine engine, IReadOnlyList<LocalSilo> silos, CancellationToken cancel)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        late.CancelAfter(mapDeadline);
        string[] missing = [.. silos.Select(silo => silo.Name)];
        while (true)
        {
            if ((await engine.ReadAsync(TimeSpan.FromSeconds(5))).TryGet(out ClusterState? state, out KvError? error))
                missing = [.. silos.Select(silo => silo.Name).Where(name => state.Map.IndexOf(name) < 0)];
            if (missing.Length == 0) return;
            if (late.IsCancellationRequested)
            {
                cancel.ThrowIfCancellationRequested();
                string lacks = $"the map lacks {string.Join(", ", missing)} after {mapDeadline.TotalSeconds:0} s";
                throw new CliException(ExitCodes.Unavailable, error is null ? lacks : $"{lacks}; {error.Message}");
            }

            await Task.Delay(50, cancel);
        }
    }

    private static LocalCluster Save(LocalClusterFolder folder, LocalCluster cluster)
    {
        folder.Save(cluster);
        return cluster;
    }

    private static CliException AlreadyUp(LocalClusterFolder folder)
    {
        int alive = LocalProcesses.Find(folder.FullPath).Count;
        return new CliException(ExitCodes.Refused, alive == 0
            ? $"{folder.FullPath} has what a cluster left whose processes are gone; kvtier cluster down removes it"
            : $"a cluster is up already: {alive} processes in {folder.FullPath}; kvtier cluster down stops it, --folder makes another one");
    }
}
