namespace KvTier.Cluster;

/// <summary>The steps of a move of a group, in order.</summary>
internal enum MigrationStep
{
    /// <summary>The other silo is asked to keep room.</summary>
    Reserve,

    /// <summary>The blocks are copied, while the group is served here as before.</summary>
    Copy,

    /// <summary>What came meanwhile is copied.</summary>
    CatchUp,

    /// <summary>The entry of the group is changed in the map, if nobody else changed the map.</summary>
    Commit,

    /// <summary>What came until the other silos knew of the change is copied; the walks do the rest and drop.</summary>
    LastCatchUp,

    /// <summary>The group is the other silo's.</summary>
    Done,
}
