using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>The options by which a command reaches a silo.</summary>
internal sealed class ConnectionOptions
{
    private readonly Option<string> endpoint = new("--endpoint", "-e")
    {
        Description = "The silo: tcp://host:port or unix:///path.",
        DefaultValueFactory = _ => new KvTierClientOptions().Endpoint,
    };

    private readonly Option<string> transport = new("--transport")
    {
        Description = "The path that bytes take: auto (shared memory where it pays), wire, or local (shared memory).",
        DefaultValueFactory = _ => "auto",
    };

    private readonly Option<string?> token = new("--token")
    {
        Description = "Token that the silo asks for; KVTIER_TOKEN if not given.",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("KVTIER_TOKEN"),
    };

    private readonly Option<int> timeout = new("--timeout-ms")
    {
        Description = "How long an operation may take, in ms.",
        DefaultValueFactory = _ => (int)new KvTierClientOptions().RequestTimeout.TotalMilliseconds,
    };

    private readonly Func<ParseResult, IReadOnlyList<string>>? known;

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="known">Endpoints to try, in order, when the command line names none; null for the default endpoint.</param>
    public ConnectionOptions(Command command, Func<ParseResult, IReadOnlyList<string>>? known = null)
    {
        this.known = known;
        command.Options.Add(endpoint);
        command.Options.Add(transport);
        command.Options.Add(token);
        command.Options.Add(timeout);
    }

    /// <summary>Connects to the silo, and to whoever owns what is asked of it.</summary>
    /// <exception cref="CliException">An option is not valid, or the silo can't be reached or refuses.</exception>
    public async Task<RoutedConnection> ConnectRoutedAsync(ParseResult parsed, CancellationToken cancel)
    {
        (KvTierClient client, KvTierClientOptions options) = await OpenAsync(parsed, cancel);
        return await RoutedConnection.OverAsync(
            client, options, endpoint => OptionsOf(parsed, endpoint, TransportMode.Wire), cancel);
    }

    /// <summary>Connects.</summary>
    /// <exception cref="CliException">An option is not valid, or the silo can't be reached or refuses.</exception>
    public async Task<KvTierClient> ConnectAsync(ParseResult parsed, CancellationToken cancel) => (await OpenAsync(parsed, cancel)).Client;

    private async Task<(KvTierClient Client, KvTierClientOptions Options)> OpenAsync(ParseResult parsed, CancellationToken cancel)
    {
        string mode = parsed.GetValue(transport)!;
        if (!Enum.TryParse(mode, ignoreCase: true, out TransportMode transportMode) || !Enum.IsDefined(transportMode))
            throw CliException.Usage("--transport", mode, "auto, wire or local");
        KvError? error = null;
        foreach (string address in EndpointsOf(parsed))
        {
            KvTierClientOptions options = OptionsOf(parsed, address, transportMode);
            Result<KvTierClient> connected = await KvTierClient.ConnectAsync(options, cancel);
            if (connected.TryGet(out KvTierClient? client, out KvError? failed)) return (client, options);
            if (failed.Code is not ErrorCode.Unavailable) throw CliException.Of(failed);
            error ??= failed;
        }

        throw CliException.Of(error!);
    }

    private IReadOnlyList<string> EndpointsOf(ParseResult parsed)
    {
        bool named = parsed.GetResult(endpoint) is { Implicit: false };
        return !named && known?.Invoke(parsed) is { Count: > 0 } found ? found : [parsed.GetValue(endpoint)!];
    }

    private KvTierClientOptions OptionsOf(ParseResult parsed, string address, TransportMode transportMode)
    {
        var options = new KvTierClientOptions
        {
            Endpoint = address,
            Transport = transportMode,
            Token = parsed.GetValue(token),
            RequestTimeout = TimeSpan.FromMilliseconds(parsed.GetValue(timeout)),
            Connections = 1,
            ClientName = "kvtier",
        };
        // Somebody waits at a terminal: one try, and a clear answer when there is nobody at the endpoint.
        options.Resilience.RetriesMax = 0;
        return options;
    }
}
