using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <summary>What a request says of the cluster, its groups aside.</summary>
/// <param name="Epoch">Epoch of the sender's map; 0 for none.</param>
/// <param name="Role">Who asks, and why.</param>
internal readonly record struct RequestRoute(long Epoch, RouteRole Role)
{
    /// <summary>True for a request that is served with what is here: nobody else is asked and nobody is sent elsewhere.</summary>
    public bool IsPlain => Role is RouteRole.PeerRead or RouteRole.Hedge;

    /// <summary>True for blocks that another silo pushes.</summary>
    public bool IsPush => Role is RouteRole.Replica or RouteRole.HandOver;
}
