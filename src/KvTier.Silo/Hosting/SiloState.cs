namespace KvTier.Silo;

/// <summary>What a silo is doing.</summary>
public enum SiloState : byte
{
    /// <summary>Memory, folder and listeners are being made.</summary>
    Starting,

    /// <summary>The index is being rebuilt from the log.</summary>
    Recovering,

    /// <summary>The silo listens and tries to become a member of its cluster, or lost its membership and tries again.</summary>
    Joining,

    /// <summary>Requests are served.</summary>
    Ready,

    /// <summary>Requests in flight and writes to the log are being finished; nothing new is taken.</summary>
    Draining,

    /// <summary>All is closed.</summary>
    Stopped,
}
