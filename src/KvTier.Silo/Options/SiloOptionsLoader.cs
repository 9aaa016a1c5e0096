using System.Collections;

namespace KvTier.Silo;

/// <summary>Makes options of their sources, later ones winning: defaults, a YAML or JSON file, the environment, the command line.</summary>
public static class SiloOptionsLoader
{
    /// <summary>What every environment variable of the service starts with.</summary>
    public const string EnvironmentPrefix = "KVTIER_";

    /// <summary>
    /// Environment variables with the prefix that are no options: the file's path, and what tests and tools use for themselves.
    /// </summary>
    private static readonly string[] reserved = ["KVTIER_CONFIG", "KVTIER_TEST_", "KVTIER_BENCH_"];

    /// <summary>Loads and checks options.</summary>
    /// <param name="configPath">A YAML or JSON file (JSON is read as YAML, whose subset it is); null for none.</param>
    /// <param name="environment">Environment variables; names that do not start with <c>KVTIER_</c> are left alone. Null for none.</param>
    /// <param name="overrides">Options from the command line, in the names of <see cref="SiloOptionTable"/>. Null for none.</param>
    /// <returns>The options, or the first error: source, option, value and what would be right.</returns>
    public static Result<SiloOptions> Load(
        string? configPath, IReadOnlyDictionary<string, string>? environment, IEnumerable<KeyValuePair<string, string>>? overrides)
    {
        SiloOptions options = SiloOptions.Default;
        if (configPath is not null)
        {
            if (!SiloConfigFile.Apply(options, configPath).TryGet(out SiloOptions? fromFile, out KvError? error)) return error;
            options = fromFile;
        }

        if (!ApplyEnvironment(options, environment).TryGet(out SiloOptions? fromEnvironment,
            out KvError? environmentError)) return environmentError;
        options = fromEnvironment;
        foreach ((string name, string value) in overrides ?? [])
        {
            if (SiloOptionTable.Find(name) is not { } option) return SiloOptionTable.Unknown(name, "command line");
            if (!option.Apply(options, value).TryGet(out SiloOptions? next, out KvError? error)) return InSource(error, "command line");
            options = next;
        }

        return options.Validate() is { } invalid ? invalid : SiloName.Resolve(options);
    }

    /// <summary>The variables of this process.</summary>
    public static IReadOnlyDictionary<string, string> ProcessEnvironment() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(entry => (string)entry.Key, entry =>
            (string?)entry.Value ?? "");

    /// <summary>An error with the source it came from in front of its field.</summary>
    internal static KvError InSource(KvError error, string source) => error with { Field = $"{source}: {error.Field}" };

    private static Result<SiloOptions> ApplyEnvironment(SiloOptions options, IReadOnlyDictionary<string, string>? environment)
    {
        var known = SiloOptionTable.All.ToDictionary(option => option.EnvironmentName);
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            if (!name.StartsWith(EnvironmentPrefix, StringComparison.Ordinal) || reserved.Any(name.StartsWith)) continue;
            if (!known.TryGetValue(name, out SiloOption? option)) return UnknownVariable(name, known.Keys);
            if (!option.Apply(options, value).TryGet(out SiloOptions? next, out KvError? error)) return InSource(error, name);
            options = next;
        }

        return options;
    }

    private static KvError UnknownVariable(string name, IEnumerable<string> known) =>
        KvError.InvalidArgument("environment: variable", name, $"a known option; the nearest is {NearestName.Of(name, known)}");
}
