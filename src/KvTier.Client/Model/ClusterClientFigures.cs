namespace KvTier.Client;

/// <summary>What a cluster's client did since it was made.</summary>
/// <param name="MapChanges">Maps taken over, the first one included.</param>
/// <param name="ReroutedBlocks">Blocks that were routed more than once, each time counted.</param>
/// <param name="Hedges">Gets that a second silo was asked.</param>
/// <param name="HedgesWon">Of these, those that the second silo answered.</param>
/// <param name="CorruptBlocks">Blocks whose bytes failed their check, from silos of the map.</param>
public readonly record struct ClusterClientFigures(
    long MapChanges, long ReroutedBlocks, long Hedges, long HedgesWon, long CorruptBlocks);
