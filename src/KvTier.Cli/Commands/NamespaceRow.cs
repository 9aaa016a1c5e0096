using KvTier.Client;

namespace KvTier.Cli;

/// <summary>A namespace or profile as <c>namespace list</c> shows it.</summary>
internal sealed record NamespaceRow(
    string Name,
    string? Fingerprint,
    string Kind,
    int Layers,
    int KvHeads,
    int HeadDim,
    string Dtype,
    int BlockTokens,
    long BytesPerToken,
    long BlockBytes,
    long? Blocks)
{
    /// <summary>A row for a namespace of a silo.</summary>
    public static NamespaceRow Of(NamespaceInfo info) =>
        Of(info.Descriptor.Profile) with { Name = info.Descriptor.Name, Fingerprint = info.Descriptor.Id.ToString(), Blocks = info.Blocks };

    /// <summary>A row for a built-in profile.</summary>
    public static NamespaceRow Of(ModelProfile profile) => new(
        profile.Name, null, profile.Kind.ToString().ToLowerInvariant(), profile.Layers, profile.KvHeads, profile.HeadDim,
        profile.Dtype.Name(), profile.BlockTokens, profile.BytesPerToken, profile.BlockBytes, null);
}
