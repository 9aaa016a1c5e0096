using System.CommandLine;
using System.Diagnostics;
using KvTier.Client;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>Waits until the silos have handed over what a change of the map makes others hold.</summary>
internal sealed class ClusterWait
{
    private static readonly TimeSpan pause = TimeSpan.FromMilliseconds(200);

    private readonly Option<int> deadline = new("--deadline-s")
    {
        Description = "Longest wait for the change and what follows from it, in s.",
        DefaultValueFactory = _ => 600,
    };

    private readonly Option<bool> noWait = new("--no-wait")
    {
        Description = "Return when the change is made; what follows goes on by itself.",
    };

    /// <summary>Adds the options to a command.</summary>
    public ClusterWait(Command command)
    {
        command.Options.Add(deadline);
        command.Options.Add(noWait);
    }

    /// <summary>Longest wait.</summary>
    public TimeSpan DeadlineOf(ParseResult parsed) => parsed.GetValue(deadline) is > 0 and <= 86_400 and var seconds
        ? TimeSpan.FromSeconds(seconds) : throw CliException.Usage("--deadline-s", parsed.GetValue(deadline), "1 to 86400");

    /// <summary>Waits until all silos of the map have settled, and whatever else is asked for.</summary>
    /// <param name="output">Where progress is shown.</param>
    /// <param name="parsed">The command line.</param>
    /// <param name="client">A silo of the cluster.</param>
    /// <param name="clock">Runs since the command began.</param>
    /// <param name="epoch">The epoch that the change made; older answers do not count.</param>
    /// <param name="left">What is left to do once all have settled; null when nothing is.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <returns>The cluster when nothing is left; null when it was not to be waited for.</returns>
    /// <exception cref="CliException">The deadline passed; the message says what is left.</exception>
    public async Task<ClusterStatus?> RunAsync(
        CliOutput output, ParseResult parsed, KvTierClient client, Stopwatch clock, long epoch, Func<ClusterStatus, string?> left,
        CancellationToken cancel)
    {
        if (parsed.GetValue(noWait)) return null;
        TimeSpan longest = DeadlineOf(parsed);
        return await CliProgress.RunAsync(output, "settling", 1, async progress =>
        {
            string? waitingFor = "an answer of the silo";
            while (clock.Elapsed < longest)
            {
                Result<string> asked = await client.ClusterStatusAsync(cancellationToken: cancel);
                if (asked.TryGet(out string? json, out KvError? error) && ClusterStatus.Parse(json) is { } status)
                {
                    waitingFor = status.Epoch < epoch ? $"epoch {epoch}" : Unsettled(status) ?? left(status);
                    if (waitingFor is null) return status;
                    progress.Say(waitingFor);
                }
                else if (error is { Code: not (ErrorCode.Unavailable or ErrorCode.DeadlineExceeded) })
                {
                    throw CliException.Of(error);
                }

                await Task.Delay(pause, cancel);
            }

            throw new CliException(ExitCodes.Unavailable,
                $"after {longest.TotalSeconds:0} s still waiting for {waitingFor}; it goes on by itself, kvtier cluster status shows it");
        });
    }

    private static string? Unsettled(ClusterStatus status)
    {
        string[] names = [.. status.Silos.Where(silo => silo is { Member: true, Settled: false }).Select(silo => silo.Name)];
        return names.Length == 0 ? null : $"{string.Join(", ", names)} to hand over";
    }
}
