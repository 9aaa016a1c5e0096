namespace KvTier;

/// <summary>The tiers that hold a block now.</summary>
[Flags]
public enum TierSet : byte
{
    /// <summary>Nowhere: a miss.</summary>
    None = 0,

    /// <summary>GPU memory.</summary>
    Device = 1,

    /// <summary>Host RAM: a slot of the arena.</summary>
    Host = 2,

    /// <summary>The SSD log.</summary>
    Ssd = 4,
}

/// <summary>How far a put has come when it is acknowledged.</summary>
public enum AckLevel : byte
{
    /// <summary>The block is sealed in host RAM; a crash of the silo may lose it.</summary>
    Memory = 0,

    /// <summary>The block's log record is committed; a crash of the silo does not lose it.</summary>
    Ssd = 1,

    /// <summary>Every silo that is to hold the block has it sealed in host RAM, so the loss of one of them does not lose it. On a silo
    /// outside of a cluster, and where one copy is all that is asked for, this is refused.</summary>
    Replica = 2,
}
