using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>What all blocks of a request have in common in a cluster. The default is that of a silo on its own.</summary>
/// <param name="Epoch">Epoch of the map by which it was routed.</param>
/// <param name="Role">A client's request, or one to a second silo.</param>
internal readonly record struct RouteContext(long Epoch, RouteRole Role)
{
    public Route With(ReadOnlySpan<BlockId> groups) => new(Epoch, Role, groups);
}

/// <summary>What a silo of a cluster says beside the blocks.</summary>
internal sealed class RouteAnswer
{
    /// <summary>Its epoch; 0 when it said none.</summary>
    public long Epoch { get; set; }

    /// <summary>Silos that hold the group of the first block.</summary>
    public int Copies { get; set; }
}
