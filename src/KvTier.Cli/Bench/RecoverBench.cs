using KvTier.Client;

namespace KvTier.Cli;

/// <summary>
/// Restart with a million blocks in the log, after a clean stop and after kill -9: from the start of the process until it serves.
/// </summary>
internal sealed class RecoverBench : IBenchGroup
{
    private const int PayloadBytes = 64;
    private const int Batch = 4096;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["recover_1M_blocks_clean", "recover_1M_blocks_killed"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        int blocks = context.Settings.RecoverBlocks;
        string data = context.Folder.File("rec");
        string[] arguments =
        [
            "--tcp", "false", "--unix-socket", context.Folder.File("rs"), "--http-enabled", "false",
            "--host-bytes", "256MiB", "--data-directory", data, "--ssd-bytes", $"{Math.Max(1024, (long)blocks * 2048 >> 20)}MiB",
        ];
        await using (SiloProcess filled = await SiloProcess.StartAsync(arguments, context.Cancel))
        {
            await FillAsync(filled, blocks, context);
            await filled.KillAsync();
        }

        TimeSpan killed;
        await using (SiloProcess silo = await SiloProcess.StartAsync(arguments, context.Cancel))
        {
            killed = silo.StartTime;
            await CheckAsync(silo, blocks, context.Cancel);
            await silo.TerminateAsync();
        }

        var clean = new List<double>();
        for (int round = 0; round < 3; round++)
        {
            await using SiloProcess silo = await SiloProcess.StartAsync(arguments, context.Cancel);
            clean.Add(silo.StartTime.TotalSeconds);
            await CheckAsync(silo, blocks, context.Cancel);
            await silo.TerminateAsync();
        }

        Directory.Delete(data, recursive: true);
        string note = $"{blocks:N0} blocks of {PayloadBytes} B; from the start of the process until it serves";
        BenchRow[] rows =
        [
            BenchRow.Cost(Names[0], Median.Of(clean), "s", "budget", 2, 1, note),
            BenchRow.Cost(Names[1], killed.TotalSeconds, "s", "budget", 10, 1, note),
        ];
        return [.. rows.Where(row => names.Contains(row.Name))];
    }

    private static async Task FillAsync(SiloProcess silo, int blocks, BenchContext context)
    {
        await using BenchBlocks client = await BenchBlocks.ConnectAsync(silo.Endpoints["unix"], TransportMode.Wire, context.Cancel);
        var payload = new byte[PayloadBytes];
        for (int at = 0; at < blocks; at += Batch)
        {
            context.Cancel.ThrowIfCancellationRequested();
            var puts = new PutBlock[Math.Min(Batch, blocks - at)];
            for (int i = 0; i < puts.Length; i++) puts[i] = new PutBlock(BenchBlocks.Key("r", at + i), payload);
            bool last = at + puts.Length == blocks;
            PutSummary summary =
                (await client.Namespace.PutAsync(puts, options: new PutOptions { Ack = last ? AckLevel.Ssd : AckLevel.Memory })).OrFail();
            summary.Error.OrFail();
        }
    }

    /// <summary>A restart that serves but has lost blocks would be no restart.</summary>
    private static async Task CheckAsync(SiloProcess silo, int blocks, CancellationToken cancel)
    {
        await using BenchBlocks client = await BenchBlocks.ConnectAsync(silo.Endpoints["unix"], TransportMode.Wire, cancel);
        BlockId[] ids = [.. Enumerable.Range(0, Batch).Select(i => client.Id("r", (long)i * blocks / Batch))];
        int found = (await client.Namespace.PrefixAsync(ids, cancellationToken: cancel)).OrFail();
        if (found != ids.Length)
            throw new CliException(ExitCodes.Fault, $"bench: after the restart {found} of {ids.Length} blocks asked for are there");
    }
}
