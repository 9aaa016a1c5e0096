using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary><c>kvtier block delete|pin|unpin KEY…</c>: verbs that are done to each block and say how many were there.</summary>
internal static class BlockChangeCommand
{
    private delegate Task<Result<int>> Change(
        KvClusterNamespace ns, BlockId[] ids, bool[] done, ParseResult parsed, CancellationToken cancel);

    public static Command Delete(CliOutput output) => Create(
        output,
        new Command("delete", "Delete blocks. Exit code 1 when one was not there."),
        "deleted",
        async (ns, ids, done, _, cancel) => await ns.DeleteAsync(ids, done: done, cancellationToken: cancel));

    public static Command Pin(CliOutput output)
    {
        var command = new Command("pin", "Keep blocks from eviction for a time. Exit code 1 when one was not there.");
        var duration = new Option<long>("--for-ms") { Description = "How long, in ms.", DefaultValueFactory = _ => 60_000 };
        command.Options.Add(duration);
        return Create(output, command, "pinned", async (ns, ids, done, parsed, cancel) =>
        {
            long ms = parsed.GetValue(duration);
            if (ms < 1 || ms > Limits.Default.PinMsMax) throw CliException.Usage("--for-ms", ms, $"1 to {Limits.Default.PinMsMax}");
            return await ns.PinAsync(ids, TimeSpan.FromMilliseconds(ms), done: done, cancellationToken: cancel);
        });
    }

    public static Command Unpin(CliOutput output) => Create(
        output,
        new Command("unpin", "End pins. Exit code 1 when a block was not there or not pinned."),
        "unpinned",
        async (ns, ids, done, _, cancel) => await ns.UnpinAsync(ids, done: done, cancellationToken: cancel));

    private static Command Create(CliOutput output, Command command, string participle, Change change) =>
        KeysCommand.Create(output, command, async run =>
        {
            var done = new bool[run.Ids.Length];
            int count = (await change(run.Namespace, run.Ids, done, run.Parsed, run.Cancel)).OrFail();
            string[] missing = [.. run.Keys.Where((_, i) => !done[i])];
            if (run.Json) output.Json(new { keys = run.Keys.Length, done = count, missing });
            else output.Line($"{participle} {count} of {run.Keys.Length}"
                + (missing.Length > 0 ? $"; not there: {string.Join(", ", missing)}" : ""));
            return missing.Length == 0 ? ExitCodes.Ok : ExitCodes.Found;
        });
}
