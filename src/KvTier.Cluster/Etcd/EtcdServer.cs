namespace KvTier.Cluster;

/// <summary>What an endpoint of etcd says of itself.</summary>
/// <param name="Endpoint">The endpoint.</param>
/// <param name="Version">Its version.</param>
/// <param name="Date">Its wall clock, in whole seconds; null when something in between has taken that away.</param>
/// <param name="Asked">This machine's wall clock when it was asked.</param>
/// <param name="Answered">The same when the answer was there.</param>
internal readonly record struct EtcdServer(
    Uri Endpoint, string Version, DateTimeOffset? Date, DateTimeOffset Asked, DateTimeOffset Answered)
{
    /// <summary>Most that two wall clocks of a cluster may differ: blocks expire by them.</summary>
    public static readonly TimeSpan SkewMax = TimeSpan.FromSeconds(30);

    /// <summary>Compares its wall clock with this machine's; etcd's is cut to seconds, and was read between question and answer.</summary>
    /// <returns>Null when they agree, or etcd's is not known.</returns>
    public KvError? CheckClock() =>
        Date is { } date && (date > Answered + SkewMax || date + TimeSpan.FromSeconds(1) < Asked - SkewMax)
            ? EtcdErrors.ClockDiffers(Endpoint, Answered, date) : null;
}
