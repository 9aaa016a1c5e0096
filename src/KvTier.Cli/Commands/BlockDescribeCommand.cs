using System.CommandLine;
using KvTier.Client;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier block describe KEY…</c>.</summary>
internal static class BlockDescribeCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("describe", "Say what the silo knows of blocks: tiers, length, expiry, pin, or why they are not there.");
        return KeysCommand.Create(output, command, async run =>
        {
            var found = new BlockDescription[run.Ids.Length];
            (await run.Namespace.DescribeAsync(run.Ids, found, cancellationToken: run.Cancel)).OrFail();
            if (run.Json) output.Json(found.Select((block, i) => Row(run.Keys[i], run.Ids[i], block)));
            else output.Table(TableOf(run.Keys, found));
            return ExitCodes.Ok;
        });
    }

    private static object Row(string key, BlockId id, BlockDescription block) => new
    {
        key,
        id = id.ToString(),
        tiers = Units.Tiers(block.Tiers),
        reason = block.Tiers == TierSet.None ? block.Reason.Name() : null,
        bytes = block.Length,
        codec = block.Codec,
        payloadCrc = $"{block.PayloadCrc:x8}",
        expiryUnixMs = block.ExpiryUnixMs,
        pinnedUntilUnixMs = block.PinnedUntilUnixMs,
        durable = block.Durable,
    };

    private static Table TableOf(string[] names, BlockDescription[] found)
    {
        Table table = new Table().AddColumns("key", "tiers", "bytes", "durable", "expires", "pinned until", "crc32c", "why not");
        for (int i = 0; i < found.Length; i++)
        {
            BlockDescription block = found[i];
            bool here = block.Tiers != TierSet.None;
            table.AddRow(
                Markup.Escape(names[i]),
                Units.Tiers(block.Tiers),
                here ? Units.Count(block.Length) : "",
                here ? (block.Durable ? "yes" : "no") : "",
                Time(block.ExpiryUnixMs),
                Time(block.PinnedUntilUnixMs),
                here ? $"{block.PayloadCrc:x8}" : "",
                here ? "" : block.Reason.Name());
        }

        return table;
    }

    private static string Time(long unixMs) =>
        unixMs == 0 ? "" : DateTimeOffset.FromUnixTimeMilliseconds(unixMs).ToString("yyyy-MM-dd HH:mm:ss'Z'");
}
