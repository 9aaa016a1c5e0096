namespace KvTier.Simulation;

/// <summary>An oracle says no.</summary>
/// <param name="oracle">Which one.</param>
/// <param name="what">What it saw.</param>
internal sealed class SimFailure(string oracle, string what) : Exception($"{oracle}: {what}")
{
    /// <summary>Name of the oracle.</summary>
    internal string Oracle { get; } = oracle;
}
