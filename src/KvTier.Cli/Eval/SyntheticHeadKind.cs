namespace KvTier.Cli;

/// <summary>How a query head attends. Real models have all of these; the figures are in docs/explanation/moments.md.</summary>
/// <param name="Spread">Standard deviation of its logits over the tokens: the larger, the fewer tokens hold the mass.</param>
/// <param name="SinkShare">Share of its mass on the sinks.</param>
/// <param name="Position">How strongly it looks at tokens just before it.</param>
internal readonly record struct SyntheticHeadKind(double Spread, double SinkShare, float Position)
{
    /// <summary>The kinds that the query heads of a group take in turn: sharp, topical, local, diffuse.</summary>
    public static IReadOnlyList<SyntheticHeadKind> All { get; } =
    [
        new(3.4, 0.15, 0.5f),
        new(2.8, 0.35, 0.5f),
        new(2.2, 0.50, 4.0f),
        new(1.6, 0.25, 0.5f),
    ];
}
