namespace KvTier.Client;

/// <summary>Which path payload takes between client and silo.</summary>
public enum TransportMode
{
    /// <summary>Shared memory where the silo offers it on a Unix socket and the blocks are large enough, else the socket.</summary>
    Auto = 0,

    /// <summary>Always the socket.</summary>
    Wire = 1,

    /// <summary>Always shared memory; connecting fails with <see cref="ErrorCode.Unsupported"/> where the silo does not offer it.</summary>
    Local = 2,
}
