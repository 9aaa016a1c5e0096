namespace KvTier.Cluster;

/// <summary>What the rest of the cluster's code sees of the silo's membership.</summary>
public interface IMembership
{
    /// <summary>The newest state this silo knows.</summary>
    ClusterState State { get; }

    /// <summary>This silo, as it joined.</summary>
    SiloEntry Self { get; }

    /// <summary>
    /// True while this silo may change things as the owner: its lease holds by its own clock, or all others of its map confirm while the
    /// engine is away. Read by the clock at every call; false from the moment of doubt.
    /// </summary>
    bool MayWrite { get; }

    /// <summary>
    /// The same for one group that the map gives this silo: groups that it owned all along may be changed while those that came with the
    /// newest map must wait until all others know of it. Asked before a change, and again before its success is told.
    /// </summary>
    bool MayWriteTo(BlockId group) => MayWrite;

    /// <summary>Waits until this silo's map is of an epoch or later.</summary>
    /// <returns>False when the time passed first.</returns>
    ValueTask<bool> CatchUpAsync(long epoch, TimeSpan longest);

    /// <summary>Makes a change of the map, and takes it over at once.</summary>
    ValueTask<Result<ClusterState>> CommitAsync(ClusterChange change, TimeSpan deadline);

    /// <summary>
    /// Calls back with the old and new map after each change, in order, on the membership's own loop; epochs may be left out. A silo whose
    /// own
    /// <see cref="SiloEntry.JoinedEpoch"/> differs between the two was away in between. Set before the start; must not throw.
    /// </summary>
    Action<ClusterMap, ClusterMap>? OnMap { get; set; }

    /// <summary>What is published of this silo's load with the next renewal; asked for at each. Set before the start.</summary>
    Func<SiloLoad>? LoadOf { get; set; }
}
