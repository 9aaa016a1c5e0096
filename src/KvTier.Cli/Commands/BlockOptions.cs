using System.CommandLine;
using System.Text;
using KvTier.Client;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>The options that say which namespace and which keys a <c>block</c> verb is about.</summary>
internal sealed class BlockOptions
{
    /// <summary>The namespace that is meant when none is named; it may be asked before anybody put a block into it.</summary>
    private const string DefaultName = "default/opaque";

    private readonly Option<string> ns = new("--namespace", "-n")
    {
        Description = "The namespace, tenant/profile.",
        DefaultValueFactory = _ => DefaultName,
    };

    private readonly Option<bool> hex = new("--hex") { Description = "Keys are hexadecimal digits instead of text." };

    /// <summary>Adds the options to a command.</summary>
    public BlockOptions(Command command)
    {
        command.Options.Add(ns);
        command.Options.Add(hex);
    }

    /// <summary>Opens the namespace that the silo, or another of its cluster, knows under the name.</summary>
    /// <param name="connection">The silo.</param>
    /// <param name="parsed">The command line.</param>
    /// <param name="register">True to register it with a built-in profile when the silo does not know it.</param>
    /// <param name="cancel">Ends the wait.</param>
    public async Task<KvClusterNamespace> OpenAsync(
        RoutedConnection connection, ParseResult parsed, bool register, CancellationToken cancel)
    {
        string name = parsed.GetValue(ns)!;
        NamespaceDescriptor? descriptor = await connection.FindNamespaceAsync(name, cancel);
        if (descriptor is null && !register && name != DefaultName)
            throw CliException.Of(new KvError(ErrorCode.NamespaceUnknown, "--namespace", name, "one that `kvtier namespace list` shows"));
        descriptor ??= NamespaceText.Parse(name).OrFail();
        return (await connection.Cluster.OpenNamespaceAsync(descriptor, cancel)).OrFail();
    }

    /// <summary>Reads a key from the command line.</summary>
    public byte[] Key(ParseResult parsed, string text)
    {
        byte[] key;
        try
        {
            key = parsed.GetValue(hex) ? Convert.FromHexString(text) : Encoding.UTF8.GetBytes(text);
        }
        catch (FormatException)
        {
            throw CliException.Usage("key", text, "an even number of hexadecimal digits");
        }

        if (key.Length == 0) throw CliException.Usage("key", "empty", "1 byte or more");
        return key.Length <= Limits.Default.KeyBytesMax
            ? key
            : throw CliException.Of(KvError.LimitExceeded("key", $"{key.Length} bytes", Limits.Default.KeyBytesMax));
    }

    /// <summary>Reads keys from the command line.</summary>
    public BlockId[] Ids(ParseResult parsed, KvClusterNamespace blocks, IEnumerable<string> keys) =>
        [.. keys.Select(key => blocks.IdOf(Key(parsed, key)))];
}
