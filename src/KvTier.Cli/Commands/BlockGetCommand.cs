using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary><c>kvtier block get KEY [FILE]</c>.</summary>
internal static class BlockGetCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("get", "Fetch a block into a file, or to stdout. Exit code 1 when it is not there.");
        var key = new Argument<string>("key") { Description = "The key, 1 to 512 bytes." };
        var file = new Argument<string?>("file") { Description = "The file; stdout when missing or -.", Arity = ArgumentArity.ZeroOrOne };
        var offset = new Option<int>("--offset") { Description = "First byte of the range." };
        var length = new Option<int>("--length") { Description = "Bytes of the range; 0 means to the end." };
        Option<bool> json = JsonOption.AddTo(command);
        json.Description = "Write what was fetched as one JSON document to stdout; the bytes need a file then.";
        command.Arguments.Add(key);
        command.Arguments.Add(file);
        command.Options.Add(offset);
        command.Options.Add(length);
        var blocks = new BlockOptions(command);
        var connection = new ConnectionOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            (int from, int count) = (parsed.GetValue(offset), parsed.GetValue(length));
            if (from < 0) throw CliException.Usage("--offset", from, "0 or more");
            if (count < 0) throw CliException.Usage("--length", count, "0 or more");
            string? path = parsed.GetValue(file);
            bool asJson = parsed.GetValue(json);
            if (asJson && path == "-") throw CliException.Usage("file", "-", "a path, as --json takes stdout");
            byte[] keyBytes = blocks.Key(parsed, parsed.GetValue(key)!);
            await using RoutedConnection client = await connection.ConnectRoutedAsync(parsed, cancel);
            KvClusterNamespace ns = await blocks.OpenAsync(client, parsed, register: false, cancel);
            (BlockResult answer, byte[] bytes) = await FetchAsync(ns, ns.IdOf(keyBytes), from, count, cancel);
            if (answer.IsHit) await WriteAsync(path, bytes, asJson, cancel);
            if (asJson)
            {
                output.Json(new
                {
                    id = ns.IdOf(keyBytes).ToString(),
                    hit = answer.IsHit,
                    tier = Tier(answer.Status),
                    reason = answer.IsHit ? null : answer.Reason.Name(),
                    bytes = bytes.Length,
                    blockBytes = answer.BlockLength,
                });
            }
            else if (!answer.IsHit)
            {
                output.Error($"kvtier: miss: {answer.Reason.Name()}");
            }

            return answer.IsHit ? ExitCodes.Ok : ExitCodes.Found;
        });
        return command;
    }

    private static string? Tier(BlockStatus status) => status switch
    {
        BlockStatus.HostHit => "host",
        BlockStatus.SsdHit => "ssd",
        _ => null,
    };

    private static async Task<(BlockResult Answer, byte[] Bytes)> FetchAsync(
        KvClusterNamespace ns, BlockId id, int from, int count, CancellationToken cancel)
    {
        if (from == 0 && count == 0) return (await ns.GetArrayAsync(id, cancellationToken: cancel)).OrFail();
        var described = new BlockDescription[1];
        (await ns.DescribeAsync(new[] { id }, described, cancellationToken: cancel)).OrFail();
        if (described[0].Tiers == TierSet.None) return (new BlockResult(BlockStatus.Miss, described[0].Reason, 0, 0, 0), []);
        // The silo, not this command, says what is wrong with a range outside the block.
        var bytes = new byte[count > 0 ? count : Math.Max(0, described[0].Length - from)];
        var results = new BlockResult[1];
        (await ns.GetAsync(new GetBlock[] { new(id, bytes, from, count) }, results, cancellationToken: cancel)).OrFail();
        return (results[0], bytes);
    }

    private static async Task WriteAsync(string? path, byte[] bytes, bool asJson, CancellationToken cancel)
    {
        if (path is null && asJson) return;
        if (path is not (null or "-"))
        {
            await File.WriteAllBytesAsync(path, bytes, cancel);
            return;
        }

        await using Stream stdout = Console.OpenStandardOutput();
        await stdout.WriteAsync(bytes, cancel);
    }
}
