using System.CommandLine;
using System.Globalization;

namespace KvTier.Cli;

/// <summary><c>kvtier health</c>: asks a silo's HTTP listener how it is, for the health checks of containers.</summary>
internal static class HealthCommand
{
    private static readonly Uri defaultUrl = new("http://127.0.0.1:7422/healthz");

    public static Command Create(CliOutput output)
    {
        var command = new Command("health", "Ask a silo over HTTP whether it is alive or ready; exit code 0 when it is.");
        var url = new Option<Uri>("--url")
        {
            Description = "What to ask: /healthz (the process answers) or /readyz (it serves).",
            DefaultValueFactory = _ => defaultUrl,
            CustomParser = argument => Uri.TryCreate(argument.Tokens[0].Value, UriKind.Absolute, out Uri? given) ? given : null!,
        };
        var timeout = new Option<int>("--timeout-ms") { Description = "How long it may take, in ms.", DefaultValueFactory = _ => 2000 };
        command.Options.Add(url);
        command.Options.Add(timeout);
        command.Run(output, async (parsed, cancel) =>
        {
            if (parsed.GetValue(url) is not { Scheme: "http" or "https" } target)
                throw CliException.Usage("--url", "no URL", "a URL such as http://127.0.0.1:7422/readyz");
            int limit = parsed.GetValue(timeout);
            if (limit < 1) throw CliException.Usage("--timeout-ms", limit.ToString(CultureInfo.InvariantCulture), "1 or more");
            return await AskAsync(output, target, TimeSpan.FromMilliseconds(limit), cancel);
        });
        return command;
    }

    private static async Task<int> AskAsync(CliOutput output, Uri url, TimeSpan timeout, CancellationToken cancel)
    {
        using var client = new HttpClient { Timeout = timeout };
        try
        {
            using HttpResponseMessage answer = await client.GetAsync(url, cancel);
            output.Line((await answer.Content.ReadAsStringAsync(cancel)).Trim());
            return answer.IsSuccessStatusCode ? ExitCodes.Ok : ExitCodes.Unavailable;
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !cancel.IsCancellationRequested))
        {
            throw new CliException(ExitCodes.Unavailable, $"{url} does not answer: {e.Message}");
        }
    }
}
