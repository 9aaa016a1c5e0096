using System.CommandLine;

namespace KvTier.Cli;

/// <summary>Runs the body of a command and turns expected failures into one line on stderr and an exit code.</summary>
internal static class CommandRunner
{
    /// <summary>Gives a command its body.</summary>
    public static void Run(this Command command, CliOutput output, Func<ParseResult, CancellationToken, Task<int>> body) =>
        command.SetAction((parsed, cancel) => RunAsync(output, () => body(parsed, cancel), cancel));

    /// <summary>The value, or the failure of the command.</summary>
    public static T OrFail<T>(this Result<T> result) =>
        result.TryGet(out T? value, out KvError? error) ? value : throw CliException.Of(error);

    /// <summary>Nothing, or the failure of the command.</summary>
    public static void OrFail(this KvError? error)
    {
        if (error is not null) throw CliException.Of(error);
    }

    private static async Task<int> RunAsync(CliOutput output, Func<Task<int>> body, CancellationToken cancel)
    {
        try
        {
            return await body();
        }
        catch (CliException failure)
        {
            output.Error($"kvtier: {failure.Message}");
            return failure.ExitCode;
        }
        catch (KvException failure)
        {
            output.Error($"kvtier: {failure.Error.Message}");
            return ExitCodes.Of(failure.Error.Code);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            output.Error("kvtier: interrupted");
            return ExitCodes.Interrupted;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            output.Error($"kvtier: {failure.Message}");
            return ExitCodes.Refused;
        }
    }
}
