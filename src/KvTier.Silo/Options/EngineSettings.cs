namespace KvTier.Silo;

/// <summary>What the silo is told of the engines it serves.</summary>
public sealed record EngineSettings
{
    /// <summary>True to count only blocks that load sooner than they are computed. Default true.</summary>
    public bool Gate { get; init; } = true;

    /// <summary>Tokens a second that engines prefill, where nobody says otherwise; 0 for not known. Default 0.</summary>
    public long PrefillTokensPerSecond { get; init; }

    /// <summary>The same by namespace, such as <c>acme/llama-3.1-8b</c>. Default none.</summary>
    public IReadOnlyDictionary<string, long> PrefillOf { get; init; } = new Dictionary<string, long>(StringComparer.Ordinal);

    /// <summary>How long a namespace may be written and not be read before it is reported, in minutes; 0 for ever. Default 60.</summary>
    public int UnreadMinutes { get; init; } = 60;

    /// <summary>How long an engine is remembered after it last said hello, in minutes. Default 1,440.</summary>
    public int ForgetMinutes { get; init; } = 1440;

    /// <summary>The prefill rate of a namespace; 0 for not known.</summary>
    internal long PrefillRateOf(NamespaceDescriptor ns) => PrefillOf.GetValueOrDefault(ns.Name, PrefillTokensPerSecond);
}
