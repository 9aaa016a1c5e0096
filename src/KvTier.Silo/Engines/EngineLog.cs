using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Engines;

/// <summary>What is logged of engines; event ids 5320 to 5339.</summary>
internal static partial class EngineLog
{
    [LoggerMessage(5320, LogLevel.Information, "Namespace {Namespace}: {Engine} {Version} at {Instance} says hello, {Known} engines known")]
    public static partial void EngineCame(
        this ILogger logger, string @namespace, string engine, string version, string instance, int known);

    [LoggerMessage(5321, LogLevel.Warning,
        "Namespace {Namespace}: {Engine} at {Instance} has {Field} = {Mine}, {Whose} has {Theirs}: they can't share blocks. {Fix}")]
    public static partial void EnginesDiffer(
        this ILogger logger, string @namespace, string engine, string instance, string field, string mine, string whose, string theirs,
        string fix);

    [LoggerMessage(5322, LogLevel.Warning,
        "Namespace {Namespace}: {Blocks} blocks were stored within {Minutes} min and none was read. Likely: {Cause}")]
    public static partial void WrittenNeverRead(this ILogger logger, string @namespace, long blocks, double minutes, string cause);
}
