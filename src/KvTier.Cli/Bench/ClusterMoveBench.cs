using System.Diagnostics;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Groups that are moved from silo to silo, against the same bytes copied through a socket of the loopback.</summary>
internal sealed class ClusterMoveBench : IBenchGroup
{
    private const string Probe = "tcp loopback copy";
    private const int Groups = 2;

    /// <summary>Moves of a slice at least, so that each silo has given and taken before it counts.</summary>
    private const int LeastMoves = 6;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["cluster_migration_GBps"];

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        ClusterRows.WithEtcdAsync(Names, "GB/s", Probe, () => MeasureAsync(context));

    private async Task<IReadOnlyList<BenchRow>> MeasureAsync(BenchContext context)
    {
        int blocks = Math.Min(BlockGroups.RunBlocksMax, context.Settings.HotBlocks / 2);
        long groupBytes = (long)blocks * context.Settings.BlockBytes;
        await using ClusterSilos silos = await ClusterSilos.StartAsync(
            context, 3 * Groups * groupBytes, ClusterSilos.Standard,
            "--cluster-lease-ms", "15000", "--cluster-copy-bytes-per-second", "1TiB");
        await using ClusterBlocks routed = await ClusterBlocks.ConnectAsync(
            silos, new NamespaceDescriptor("bench", Profiles.Opaque), context.Cancel);
        byte[] payload = ClusterRows.Payload(context);
        var groups = new BlockId[Groups];
        for (int g = 0; g < Groups; g++)
        {
            groups[g] = routed.Namespace.IdOf(BenchBlocks.Key($"group{g}", 0));
            for (int i = 0; i < blocks; i++) await routed.PutAsync(BenchBlocks.Key($"group{g}", i), payload, group: groups[g]);
        }

        long moves = 0;
        async Task<double> MoveAsync(TimeSpan time)
        {
            var watch = new Stopwatch();
            long before = moves;
            do
            {
                ClusterMap map = await silos.MapAsync();
                BlockId group = groups[moves++ % Groups];
                string to = map.Silos[(map.OwnerOf(group) + 1) % map.Silos.Count].Name;
                watch.Start();
                (await silos.TryAdminAsync("move", group.ToString(), to)).OrFail();
                watch.Stop();
                // What was moved is dropped at its old place: not in the time, but before the next one.
                await silos.WhenSettledAsync();
            }
            while (moves - before < LeastMoves || watch.Elapsed < time);
            return (moves - before) * groupBytes / watch.Elapsed.TotalSeconds / 1e9;
        }

        using var probe = new ClusterProbe();
        double[] rates = await context.MedianRatesAsync(
            MoveAsync, time => ClosedLoop.RunOnThreadsAsync(1, time, (_, _) => probe.Copy(groupBytes)));
        await CheckAsync(routed, groups, blocks, payload);
        string note = $"groups of {blocks} blocks of {Units.Bytes(context.Settings.BlockBytes)}, one at a time, reserve to switch; "
            + "all bytes compared at the end";
        return [BenchRow.Rate(Names[0], rates[0], "GB/s", Probe, rates[1] * groupBytes / 1e9, null, note)];
    }

    private static async Task CheckAsync(ClusterBlocks routed, BlockId[] groups, int blocks, byte[] payload)
    {
        byte[] buffer = new byte[payload.Length];
        for (int g = 0; g < groups.Length; g++)
        {
            for (int i = 0; i < blocks; i++)
            {
                await routed.GetAsync(routed.Namespace.IdOf(BenchBlocks.Key($"group{g}", i)), buffer, groups[g]);
                if (!buffer.AsSpan().SequenceEqual(payload))
                    throw new CliException(ExitCodes.Fault, "bench: a moved block has other bytes");
            }
        }
    }
}
