using KvTier.Protocol;

namespace KvTier.Silo.Engines;

/// <summary>What an engine said of itself.</summary>
/// <param name="Engine">Such as <c>vllm</c>.</param>
/// <param name="Version">Its version.</param>
/// <param name="Instance">Which one of its kind.</param>
/// <param name="Fields">What has to agree, by name.</param>
/// <param name="SeenAt">When it last said so.</param>
internal sealed record EngineRecord(
    string Engine, string Version, string Instance, IReadOnlyDictionary<string, string> Fields, DateTimeOffset SeenAt)
{
    /// <summary>Value of a field that agrees with every other.</summary>
    public const string Any = "any";

    /// <summary>The engine in words.</summary>
    public string Name => Version.Length == 0 ? $"{Engine} at {Instance}" : $"{Engine} {Version} at {Instance}";

    /// <summary>True for the same engine, perhaps before a restart.</summary>
    public bool IsSame(EngineRecord other) => Engine == other.Engine && Instance == other.Instance;

    /// <summary>The record of a hello.</summary>
    public static EngineRecord Of(EngineHelloRequest hello, DateTimeOffset now) =>
        new(hello.Engine, hello.Version, hello.Instance, hello.Fields, now);
}
