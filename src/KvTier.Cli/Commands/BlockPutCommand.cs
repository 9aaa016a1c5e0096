using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary><c>kvtier block put KEY [FILE]</c>.</summary>
internal static class BlockPutCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("put", "Store a block: the bytes of a file, or of stdin.");
        var key = new Argument<string>("key") { Description = "The key, 1 to 512 bytes." };
        var file = new Argument<string?>("file") { Description = "The file; stdin when missing or -.", Arity = ArgumentArity.ZeroOrOne };
        var ack = new Option<string>("--ack")
        {
            Description = "memory, ssd to wait until the log has it, or replica to wait until all holders in the cluster have it.",
            DefaultValueFactory = _ => "memory",
        };
        var ttl = new Option<long>("--ttl-ms") { Description = "Time to live in ms; 0 for none." };
        var overwrite = new Option<bool>("--overwrite") { Description = "Replace a block that is there." };
        Option<bool> json = JsonOption.AddTo(command);
        command.Arguments.Add(key);
        command.Arguments.Add(file);
        command.Options.Add(ack);
        command.Options.Add(ttl);
        command.Options.Add(overwrite);
        var blocks = new BlockOptions(command);
        var connection = new ConnectionOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            long ttlMs = parsed.GetValue(ttl);
            if (ttlMs < 0) throw CliException.Usage("--ttl-ms", ttlMs, "0 or more");
            var options = new PutOptions
            {
                Ack = Ack(parsed.GetValue(ack)!),
                Overwrite = parsed.GetValue(overwrite),
                TimeToLive = TimeSpan.FromMilliseconds(ttlMs),
            };
            byte[] keyBytes = blocks.Key(parsed, parsed.GetValue(key)!);
            byte[] payload = await ReadAsync(parsed.GetValue(file), cancel);
            await using RoutedConnection client = await connection.ConnectRoutedAsync(parsed, cancel);
            KvClusterNamespace ns = await blocks.OpenAsync(client, parsed, register: true, cancel);
            var statuses = new PutStatus[1];
            PutBlock[] put = [new PutBlock(keyBytes, payload)];
            (await ns.PutAsync(put, statuses, options, cancel)).OrFail().Error.OrFail();
            string status = statuses[0].ToString().ToLowerInvariant();
            var outcome = new { id = ns.IdOf(keyBytes).ToString(), bytes = payload.Length, status };
            if (parsed.GetValue(json)) output.Json(outcome);
            else output.Line($"{outcome.status} {outcome.id} {Units.Bytes(outcome.bytes)}");
            return ExitCodes.Ok;
        });
        return command;
    }

    private static AckLevel Ack(string text) => text switch
    {
        "memory" => AckLevel.Memory,
        "ssd" => AckLevel.Ssd,
        "replica" => AckLevel.Replica,
        _ => throw CliException.Usage("--ack", text, "memory, ssd or replica"),
    };

    private static async Task<byte[]> ReadAsync(string? path, CancellationToken cancel)
    {
        int max = Limits.Default.BlockBytesMax;
        bool stdin = path is null or "-";
        try
        {
            await using Stream source = stdin ? Console.OpenStandardInput() : File.OpenRead(path!);
            if (source.CanSeek && source.Length > max)
                throw CliException.Of(KvError.LimitExceeded("file", $"{source.Length} bytes", $"{max} bytes"));
            using var bytes = new MemoryStream();
            var buffer = new byte[1 << 16];
            for (int read; (read = await source.ReadAsync(buffer, cancel)) > 0;)
            {
                if (bytes.Length + read > max)
                    throw CliException.Of(KvError.LimitExceeded("file", $"more than {max} bytes", $"{max} bytes"));
                bytes.Write(buffer, 0, read);
            }

            return bytes.ToArray();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw CliException.Usage("file", path, $"a file that can be read ({failure.Message})");
        }
    }
}
