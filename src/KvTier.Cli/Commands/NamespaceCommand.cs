using System.CommandLine;
using KvTier.Client;
using KvTier.Silo;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier namespace list|create</c>.</summary>
internal static class NamespaceCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("namespace", "List namespaces, or register one.");
        command.Subcommands.Add(List(output));
        command.Subcommands.Add(Register(output));
        return command;
    }

    private static Command List(CliOutput output)
    {
        var command = new Command("list", "List the silo's namespaces, or the built-in profiles.");
        var profiles = new Option<bool>("--profiles") { Description = "List the built-in profiles; needs no silo." };
        Option<bool> json = JsonOption.AddTo(command);
        command.Options.Add(profiles);
        var connection = new ConnectionOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            if (parsed.GetValue(profiles))
            {
                Show(output, parsed.GetValue(json), [.. Profiles.BuiltIn.Select(profile => NamespaceRow.Of(profile))]);
                return ExitCodes.Ok;
            }

            await using KvTierClient client = await connection.ConnectAsync(parsed, cancel);
            NamespaceInfo[] known = (await client.ListNamespacesAsync(cancel)).OrFail();
            Show(output, parsed.GetValue(json), [.. known.Select(NamespaceRow.Of)]);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static Command Register(CliOutput output)
    {
        var command = new Command(
            "create", "Register a namespace with a built-in profile; does nothing when it is there with the same profile.");
        var name = new Argument<string>("namespace") { Description = "tenant/profile, such as acme/llama-3.1-8b." };
        Option<bool> json = JsonOption.AddTo(command);
        command.Arguments.Add(name);
        var connection = new ConnectionOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            NamespaceDescriptor descriptor = NamespaceText.Parse(parsed.GetValue(name)!).OrFail();
            await using KvTierClient client = await connection.ConnectAsync(parsed, cancel);
            (await client.OpenNamespaceAsync(descriptor, cancel)).OrFail();
            if (parsed.GetValue(json)) output.Json(NamespaceRow.Of(new NamespaceInfo(descriptor, 0)) with { Blocks = null });
            else output.Line($"{descriptor.Name} {descriptor.Id}");
            return ExitCodes.Ok;
        });
        return command;
    }

    private static void Show(CliOutput output, bool json, NamespaceRow[] rows)
    {
        if (json)
        {
            output.Json(rows);
            return;
        }

        Table table = new Table().AddColumns(
            "name", "kind", "layers", "kv heads", "head dim", "dtype", "block tokens", "bytes/token", "block", "blocks");
        foreach (NamespaceRow row in rows)
        {
            table.AddRow(
                Markup.Escape(row.Name), row.Kind, $"{row.Layers}", $"{row.KvHeads}", $"{row.HeadDim}", row.Dtype, $"{row.BlockTokens}",
                Units.Count(row.BytesPerToken), row.BlockBytes == 0 ? "any" : Units.Bytes(row.BlockBytes),
                row.Blocks is { } blocks ? Units.Count(blocks) : "");
        }

        output.Table(table);
    }
}
