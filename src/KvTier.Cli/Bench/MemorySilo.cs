namespace KvTier.Cli;

/// <summary>The silo of the rows that stay in memory: no SSD tier, as Redis runs without persistence.</summary>
internal static class MemorySilo
{
    private static int count;

    /// <summary>Starts one on free ports and a Unix socket.</summary>
    public static Task<SiloProcess> StartAsync(BenchContext context, bool resp = false)
    {
        long hostMiB = 4L * context.Settings.HotBlocks * context.Settings.BlockBytes >> 20;
        string socket = context.Folder.File($"m{Interlocked.Increment(ref count)}");
        string[] arguments =
        [
            "--port", "0", "--unix-socket", socket, "--http-enabled", "false", "--host-bytes", $"{Math.Max(64, hostMiB)}MiB", "--prefault",
            .. resp ? (string[])["--resp-enabled", "--resp-port", "0"] : [],
        ];
        return SiloProcess.StartAsync(arguments, context.Cancel);
    }
}
