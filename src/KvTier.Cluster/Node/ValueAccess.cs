namespace KvTier.Cluster;

/// <summary>What is about to be done with a value of a mutable namespace.</summary>
public enum ValueAccess : byte
{
    /// <summary>It is read, or read and then changed: the newest value must be here first.</summary>
    Read,

    /// <summary>It is changed or deleted after it was read: the newest value must be here first, and no older one may come later.</summary>
    Update,

    /// <summary>It is replaced or deleted whatever it was: no older one may come later.</summary>
    Replace,
}
