namespace KvTier.Cli;

/// <summary>An expected failure of a command: one line for stderr, and an exit code.</summary>
internal sealed class CliException : Exception
{
    /// <summary>A failure.</summary>
    public CliException(int exitCode, string message)
        : base(message) => ExitCode = exitCode;

    /// <summary>What the process exits with.</summary>
    public int ExitCode { get; }

    /// <summary>An argument, option or file that is not valid: names field, value and what is allowed.</summary>
    public static CliException Usage(string field, object? value, string allowed) =>
        new(ExitCodes.Usage, KvError.InvalidArgument(field, value, allowed).Message);

    /// <summary>A failure of the silo or the client.</summary>
    public static CliException Of(KvError error) => new(ExitCodes.Of(error.Code), error.Message);
}
