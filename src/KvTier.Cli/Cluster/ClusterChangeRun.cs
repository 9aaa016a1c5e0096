using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using KvTier.Client;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>Has a cluster change its map, waits for what follows from it, and says what became of it.</summary>
internal sealed class ClusterChangeRun
{
    private readonly Option<bool> json;
    private readonly ClusterConnection connection;
    private readonly ClusterWait wait;

    /// <summary>Adds the options to a command.</summary>
    public ClusterChangeRun(Command command)
    {
        json = JsonOption.AddTo(command);
        wait = new ClusterWait(command);
        connection = new ClusterConnection(command);
    }

    /// <summary>Makes the change.</summary>
    /// <param name="output">Where it is shown.</param>
    /// <param name="parsed">The command line.</param>
    /// <param name="verb">What the silo is asked for.</param>
    /// <param name="arguments">The verb's arguments.</param>
    /// <param name="left">What else is to be waited for once all have settled; null when nothing is.</param>
    /// <param name="cancel">Ends the wait; the change stays.</param>
    public async Task<int> RunAsync(
        CliOutput output, ParseResult parsed, string verb, string[] arguments, Func<ClusterStatus, string?> left, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        TimeSpan deadline = wait.DeadlineOf(parsed);
        await using KvTierClient client = await connection.ConnectAsync(parsed, cancel);
        string answer = (await client.ClusterAdminAsync(verb, arguments, deadline, cancel)).OrFail();
        using JsonDocument document = JsonDocument.Parse(answer);
        long epoch = document.RootElement.GetProperty("epoch").GetInt64();
        bool changed = document.RootElement.GetProperty("changed").GetBoolean();
        ClusterStatus? settled = await wait.RunAsync(output, parsed, client, clock, epoch, left, cancel);
        if (parsed.GetValue(json))
        {
            output.Json(new { Epoch = epoch, Changed = changed, Settled = settled is not null, Seconds = clock.Elapsed.TotalSeconds });
            return ExitCodes.Ok;
        }

        string made = changed ? $"epoch {epoch}" : $"nothing to change (epoch {epoch})";
        output.Line(settled is null ? $"{made}; hand-over goes on" : $"{made}; all handed over in {clock.Elapsed.TotalSeconds:0.0} s");
        return ExitCodes.Ok;
    }
}
