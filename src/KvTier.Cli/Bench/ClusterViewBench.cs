using System.Diagnostics;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>How long clients wait when a silo is killed, with two copies of each group, and when a silo joins.</summary>
internal sealed class ClusterViewBench : IBenchGroup
{
    private const int LeaseMs = 3000;
    private const string Lease = "the lease";
    private const int RoundsMax = 3;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["cluster_view_change_get", "cluster_view_change_put", "cluster_view_change_join"];

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        ClusterRows.WithEtcdAsync(Names.Where(names.Contains), "ms", Lease, async () =>
            [.. (await MeasureAsync(context)).Where(row => names.Contains(row.Name))]);

    private async Task<IReadOnlyList<BenchRow>> MeasureAsync(BenchContext context)
    {
        await using ClusterSilos silos = await ClusterSilos.StartAsync(
            context, 64L << 20, ClusterSilos.Standard, "--cluster-lease-ms", $"{LeaseMs}", "--cluster-replicas", "2");
        var (gets, puts, joins, starts) = (new List<double>(), new List<double>(), new List<double>(), new List<double>());
        for (int round = 0; round < Math.Min(RoundsMax, context.Settings.Rounds); round++)
        {
            context.Progress.Say("a silo is killed");
            string victim = ClusterSilos.NameOf(round + 1);
            (double get, double put) = await KillAsync(context, silos, victim, round);
            gets.Add(get);
            puts.Add(put);
            await silos.RemoveAsync(victim);
            context.Progress.Say("a silo joins");
            joins.Add(await JoinAsync(context, silos, round + 1 + ClusterSilos.Standard));
            await silos.WhenSettledAsync();
            await using SiloProcess alone = await SiloProcess.StartAsync(ClusterSilos.MemoryArguments(context, 64L << 20), context.Cancel);
            starts.Add(alone.StartTime.TotalMilliseconds);
        }

        return
        [
            BenchRow.Cost(Names[0], Median.Of(gets), "ms", Lease, LeaseMs, null, $"kill -9 to the first answer; worst {gets.Max():0} ms"),
            BenchRow.Cost(Names[1], Median.Of(puts), "ms", Lease, LeaseMs, null, $"kill -9 to the first answer; worst {puts.Max():0} ms"),
            BenchRow.Cost(Names[2], Median.Of(joins), "ms", "start of one silo until it serves", Median.Of(starts), null,
                "start of the process to the map that has it"),
        ];
    }

    /// <summary>Kills a silo while a get and a put of groups that it owns are repeated.</summary>
    /// <returns>From the kill to the first answer of each, in ms.</returns>
    private static async Task<(double Get, double Put)> KillAsync(BenchContext context, ClusterSilos silos, string victim, int round)
    {
        await using ClusterBlocks routed = await ClusterBlocks.ConnectAsync(
            silos, new NamespaceDescriptor("bench", Profiles.Opaque), context.Cancel);
        string set = $"round{round}";
        byte[] payload = new byte[64 << 10];
        BlockContent.Fill(payload, 1);
        byte[][] keys = [.. Enumerable.Range(0, int.MaxValue).Select(i => BenchBlocks.Key(set, i))
            .Where(key => routed.OwnerOf(routed.Namespace.IdOf(key)) == victim).Take(2)];
        BlockId held = routed.Namespace.IdOf(keys[0]);
        await routed.PutAsync(keys[0], payload, AckLevel.Replica);
        byte[] buffer = new byte[payload.Length];
        await routed.GetAsync(held, buffer);
        long killed = Stopwatch.GetTimestamp();
        silos.Kill(victim);
        Task<double> get = AnsweredAsync(killed, () => routed.GetAsync(held, buffer));
        Task<double> put = AnsweredAsync(killed, () => routed.PutAsync(keys[1], payload));
        return (await get, await put);
    }

    private static async Task<double> AnsweredAsync(long since, Func<ValueTask> operation)
    {
        await operation();
        return Stopwatch.GetElapsedTime(since).TotalMilliseconds;
    }

    private static async Task<double> JoinAsync(BenchContext context, ClusterSilos silos, int number)
    {
        string name = ClusterSilos.NameOf(number);
        long begin = Stopwatch.GetTimestamp();
        Task<SiloProcess> starting = silos.AddAsync(number);
        while ((await silos.MapAsync()).IndexOf(name) < 0)
        {
            if (starting.IsFaulted) await starting;
            await Task.Delay(5, context.Cancel);
        }

        double joined = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
        await starting;
        return joined;
    }
}
