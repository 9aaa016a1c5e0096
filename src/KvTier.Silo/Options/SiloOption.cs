namespace KvTier.Silo;

/// <summary>One option: its name, what it may be, and how it is read from text and shown as text.</summary>
/// <param name="Name">Name in a file and on the command line, such as <c>resp.port</c>; dots stand for nesting.</param>
/// <param name="Kind">What the text is: <c>bytes</c>, <c>number</c>, <c>switch</c>, <c>text</c>, <c>list</c>.</param>
/// <param name="Allowed">What is allowed, for documentation and errors.</param>
/// <param name="Help">What it does, one sentence.</param>
/// <param name="Show">Its value as text, the form that <paramref name="Apply"/> reads.</param>
/// <param name="Apply">Reads a value from text into a copy of the options.</param>
/// <param name="Check">Checks the value in options that were made by code.</param>
public sealed record SiloOption(
    string Name,
    string Kind,
    string Allowed,
    string Help,
    Func<SiloOptions, string> Show,
    Func<SiloOptions, string, Result<SiloOptions>> Apply,
    Func<SiloOptions, KvError?> Check)
{
    /// <summary>Name in the environment: <c>resp.port</c> is <c>KVTIER_RESP_PORT</c>, <c>hostBytes</c> is
    /// <c>KVTIER_HOST_BYTES</c>.</summary>
    public string EnvironmentName { get; } = MakeEnvironmentName(Name);

    /// <summary>True for values that are never shown in <c>stat</c>, logs or errors.</summary>
    public bool Secret { get; init; }

    private static string MakeEnvironmentName(string name)
    {
        var text = new System.Text.StringBuilder("KVTIER_");
        foreach (char c in name)
        {
            if (c == '.') text.Append('_');
            else if (char.IsAsciiLetterUpper(c)) text.Append('_').Append(c);
            else text.Append(char.ToUpperInvariant(c));
        }

        return text.ToString();
    }
}
