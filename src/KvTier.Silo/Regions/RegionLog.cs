using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Regions;

/// <summary>What is logged of engine regions; event ids 5400 to 5419.</summary>
internal static partial class RegionLog
{
    [LoggerMessage(5400, LogLevel.Information,
        "Connection {Number}: region {Region} of engine {Engine} open: {Path}, {Blocks} rows of {RowBytes} B every {RowStride} B")]
    public static partial void RegionOpened(
        this ILogger logger, int number, int region, string engine, string path, long blocks, int rowBytes, long rowStride);

    [LoggerMessage(5401, LogLevel.Warning, "Connection {Number}: region refused: {Error}")]
    public static partial void RegionRefused(this ILogger logger, int number, string error);

    [LoggerMessage(5402, LogLevel.Information, "Removed {Path} of {Bytes} B: no process has it open")]
    public static partial void RegionReaped(this ILogger logger, string path, long bytes);

    [LoggerMessage(5403, LogLevel.Warning,
        "Files of engines that are gone stay in {Folder}: its file system does not say whether one is open (error {Error})")]
    public static partial void RegionReapUnsupported(this ILogger logger, string folder, int error);
}
