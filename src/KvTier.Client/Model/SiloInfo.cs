namespace KvTier.Client;

/// <summary>What a silo says of itself when a connection is made.</summary>
/// <param name="Name">The silo's name.</param>
/// <param name="Version">Version of its software.</param>
/// <param name="ProtocolVersion">Version of the protocol that both speak.</param>
/// <param name="Limits">Its limits.</param>
/// <param name="IsLocal">True when its arena is mapped, so that the local path can be taken.</param>
public sealed record SiloInfo(string Name, string Version, int ProtocolVersion, Limits Limits, bool IsLocal)
{
    /// <summary>Bytes of its arena; 0 when that is not mapped. Default 0.</summary>
    public long ArenaBytes { get; init; }
}

/// <summary>A namespace that a silo knows.</summary>
/// <param name="Descriptor">Tenant and profile.</param>
/// <param name="Blocks">Blocks in it.</param>
public sealed record NamespaceInfo(NamespaceDescriptor Descriptor, long Blocks);
