namespace KvTier.Client.Routing;

/// <summary>A map and the ways to its silos. Immutable.</summary>
/// <param name="Map">The map.</param>
/// <param name="Links">By the silo's index in the map.</param>
internal sealed record RouteTable(ClusterMap Map, SiloLink[] Links)
{
    public long Epoch => Map.Epoch;
}
