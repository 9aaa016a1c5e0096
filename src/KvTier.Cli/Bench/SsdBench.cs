using System.Diagnostics;
using KvTier.Client;
using KvTier.Storage;

namespace KvTier.Cli;

/// <summary>
/// The SSD tier against the raw device: O_DIRECT, the same block size, the same number in flight, the same sync at the end.
/// </summary>
internal sealed class SsdBench : IBenchGroup
{
    private const int Rounds = 3;
    private const string LogNote = "the log alone in this process: no client, no engine";

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["ssd_read_1MiB", "ssd_write_1MiB", "log_read_1MiB", "log_write_1MiB"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        BenchSettings settings = context.Settings;
        RawDevice raw;
        try
        {
            raw = new RawDevice(context.Folder.File("raw"), settings.BlockBytes, settings.SsdBlocks);
        }
        catch (IOException failure)
        {
            return [.. Names.Where(names.Contains).Select(name =>
                BenchRow.Rate(name, 0, "GB/s", "raw device", null, null, failure.Message))];
        }

        using (raw)
        {
            long dataMiB = (long)settings.SsdBlocks * settings.BlockBytes >> 20;
            string data = context.Folder.File("ssd");
            await using SiloProcess silo = await SiloProcess.StartAsync(
                ["--tcp", "false", "--unix-socket", context.Folder.File("sd"), "--http-enabled", "false", "--host-bytes",
                    $"{Math.Max(64, dataMiB / 4)}MiB",
                    "--data-directory", data, "--ssd-bytes", $"{(dataMiB * (Rounds + 2)) + 1024}MiB", "--prefault", "true"],
                context.Cancel);
            await using BenchBlocks blocks = await BenchBlocks.ConnectAsync(silo.Endpoints["unix"], TransportMode.Local, context.Cancel);
            (double[] writes, double[] rawWrites) = await WriteAsync(context, blocks, raw);
            (double[] reads, double[] rawReads) = await ReadAsync(context, blocks, raw, $"w{Rounds}");
            await blocks.DisposeAsync();
            await silo.DisposeAsync();
            Directory.Delete(data, recursive: true);
            LogFigures[] log = await LogAloneAsync(context);
            string overwrite = $"a file that grows; writing over one that is there: {raw.Overwrite(settings.SsdDepth) / 1e9:0.00} GB/s";
            string note = $"{settings.SsdDepth} in flight";
            BenchRow[] rows =
            [
                BenchRow.Rate(Names[0], Median.Of(reads), "GB/s", "raw device, O_DIRECT", Median.Of(rawReads), 0.85, note),
                BenchRow.Rate(Names[1], Median.Of(writes), "GB/s", "raw device, O_DIRECT", Median.Of(rawWrites), 0.70,
                    $"{note}; {overwrite}"),
                BenchRow.Rate(Names[2], Median.Of(log.Select(figures => figures.ReadBytesPerSecond / 1e9)), "GB/s",
                    "raw device, O_DIRECT", Median.Of(rawReads), null, LogNote),
                BenchRow.Rate(Names[3], Median.Of(log.Select(figures => figures.WriteBytesPerSecond / 1e9)), "GB/s",
                    "raw device, O_DIRECT", Median.Of(rawWrites), null, LogNote),
            ];
            return [.. rows.Where(row => names.Contains(row.Name))];
        }
    }

    /// <summary>The log without the silo around it, which says how much of the rows' time is the log's.</summary>
    private static async Task<LogFigures[]> LogAloneAsync(BenchContext context)
    {
        BenchSettings settings = context.Settings;
        long total = (long)settings.SsdBlocks * settings.BlockBytes;
        var figures = new LogFigures[Rounds];
        for (int round = 0; round < Rounds; round++)
        {
            string folder = context.Folder.File($"log{round}");
            Directory.CreateDirectory(folder);
            var options = new LogOptions { Directory = folder, CapBytes = total * 2 };
            figures[round] = (
                await LogBenchmark.MeasureAsync(options, total, settings.BlockBytes, settings.SsdDepth, 64L << 20,
                TimeProvider.System)).OrFail();
            Directory.Delete(folder, recursive: true);
        }

        return figures;
    }

    private static async Task<(double[] Ours, double[] Raw)> WriteAsync(BenchContext context, BenchBlocks blocks, RawDevice raw)
    {
        BenchSettings settings = context.Settings;
        var payload = new byte[settings.BlockBytes];
        BlockContent.Fill(payload, 7);
        var ours = new double[Rounds];
        var theirs = new double[Rounds];
        for (int round = 0; round <= Rounds; round++)
        {
            int next = -1;
            long start = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, settings.SsdDepth).Select(_ => Task.Run(async () =>
            {
                for (int i; (i = Interlocked.Increment(ref next)) < settings.SsdBlocks;) await blocks.PutAsync(
                    BenchBlocks.Key($"w{round}", i), payload);
            })));
            // Durable when this one is: the log commits in order.
            await blocks.PutAsync(BenchBlocks.Key("sync", round), new byte[512], new PutOptions { Ack = AckLevel.Ssd });
            double rate = (double)settings.SsdBlocks * settings.BlockBytes / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
            double rawRate = raw.Write(settings.SsdDepth) / 1e9;
            if (round > 0) (ours[round - 1], theirs[round - 1]) = (rate, rawRate);
        }

        return (ours, theirs);
    }

    private static async Task<(double[] Ours, double[] Raw)> ReadAsync(BenchContext context, BenchBlocks blocks, RawDevice raw, string set)
    {
        BenchSettings settings = context.Settings;
        BlockId[] ids = blocks.Ids(set, settings.SsdBlocks);
        var ours = new double[Rounds];
        var theirs = new double[Rounds];
        for (int round = 0; round <= Rounds; round++)
        {
            int next = -1;
            long fromSsd = 0;
            long start = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, settings.SsdDepth).Select(_ => Task.Run(async () =>
            {
                for (int i; (i = Interlocked.Increment(ref next)) < ids.Length;)
                {
                    BlockLease lease = (await blocks.Namespace.LeaseAsync(ids[i])).OrFail();
                    if (!lease.IsHit) throw new CliException(ExitCodes.Fault,
                        $"bench: a block that was put is not there: {lease.Reason.Name()}");
                    if (lease.Status == BlockStatus.SsdHit) Interlocked.Increment(ref fromSsd);
                    lease.Dispose();
                }
            })));
            // Only what came from the log counts: a block that was in host memory is no read.
            double rate = (double)fromSsd * settings.BlockBytes / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
            double rawRate = raw.Read(settings.SsdDepth) / 1e9;
            if (round > 0) (ours[round - 1], theirs[round - 1]) = (rate, rawRate);
        }

        return (ours, theirs);
    }
}
