namespace KvTier.Cluster;

/// <summary>What somebody wants of a group.</summary>
public enum AccessKind : byte
{
    /// <summary>Reads blocks.</summary>
    Read,

    /// <summary>Stores blocks that are what their keys say.</summary>
    Put,

    /// <summary>Changes what has an owner: values of a mutable namespace, sequences.</summary>
    Change,
}

/// <summary>What a silo does with a request about a group.</summary>
public enum Admission : byte
{
    /// <summary>It serves it.</summary>
    Serve,

    /// <summary>It is not the owner: <see cref="ErrorCode.Moved"/>.</summary>
    Moved,

    /// <summary>It can't show that it still is the owner: <see cref="ErrorCode.Fenced"/>.</summary>
    Fenced,
}
