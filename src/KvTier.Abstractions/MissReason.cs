namespace KvTier;

/// <summary>Why a block that was asked for is not in the answer. Every miss has one; each is counted.</summary>
public enum MissReason : byte
{
    /// <summary>No miss.</summary>
    None = 0,

    /// <summary>The silo has no memory of such a block.</summary>
    NeverStored = 1,

    /// <summary>It was here and gave way to others.</summary>
    Evicted = 2,

    /// <summary>Its time to live ran out.</summary>
    Expired = 3,

    /// <summary>A client deleted it.</summary>
    Deleted = 4,

    /// <summary>Its bytes failed their check; the block is in quarantine.</summary>
    Corrupt = 5,

    /// <summary>It is here but could not be read: the request's deadline passed first, or the device failed, which is counted and logged
    /// by itself. A later get may succeed.</summary>
    Deadline = 6,

    /// <summary>A put of it has begun and is not sealed yet.</summary>
    NotSealed = 7,

    /// <summary>The silo is shutting down.</summary>
    ShuttingDown = 8,

    /// <summary>The silo that was asked does not own the block's group: ask the owner.</summary>
    Moved = 9,

    /// <summary>The silo that owned it was lost with it.</summary>
    OwnerLost = 10,
}

/// <summary>Names of <see cref="MissReason"/> as metrics, JSON and clients spell them.</summary>
public static class MissReasonExtensions
{
    private static readonly string[] names =
        ["none", "never_stored", "evicted", "expired", "deleted", "corrupt", "deadline", "not_sealed", "shutting_down",
            "moved", "owner_lost"];

    /// <summary>Number of reasons, <see cref="MissReason.None"/> included.</summary>
    public static int Count => names.Length;

    /// <summary>The name in snake case, such as <c>never_stored</c>.</summary>
    public static string Name(this MissReason reason) => (int)reason < names.Length ? names[(int)reason] : $"unknown_{(int)reason}";
}
