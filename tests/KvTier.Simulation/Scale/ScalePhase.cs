namespace KvTier.Simulation;

/// <summary>What was counted while something happened.</summary>
/// <param name="Name">What happened.</param>
/// <param name="Silos">Silos at its end.</param>
/// <param name="Seconds">How long it took, in virtual time.</param>
/// <param name="Traffic">Messages meanwhile, of all silos together.</param>
/// <param name="Blocks">Blocks that the silo that died had; 0 for the rest.</param>
/// <param name="Bytes">Bytes of them.</param>
internal sealed record ScalePhase(string Name, int Silos, double Seconds, SimTraffic Traffic, long Blocks = 0, long Bytes = 0)
{
    /// <summary>Requests to etcd of one silo in a second.</summary>
    internal double EtcdRequestsPerSilo => Traffic.EtcdRequests / Seconds / Silos;
}
