namespace KvTier.Client;

/// <summary>How a client reaches a cluster. Set before connecting; the client takes a copy.</summary>
public sealed class KvClusterClientOptions
{
    /// <summary>Most endpoints to begin with.</summary>
    private const int EndpointsMax = 256;

    /// <summary>
    /// Silos to ask for the map first, as in <see cref="KvTierClientOptions.Endpoint"/>; one that answers is enough. All others come from
    /// the map. A <c>unix://</c> one is also the way to that silo from then on: so its shared memory is used. Default none; at least one is
    /// needed.
    /// </summary>
    public IReadOnlyList<string> Endpoints { get; set; } = [];

    /// <summary>
    /// How each silo is reached; <see cref="KvTierClientOptions.Endpoint"/> is not used, nor are its retries: what fails is routed anew.
    /// <see cref="KvTierClientOptions.RequestTimeout"/> is the end of an operation whatever happens.
    /// </summary>
    public KvTierClientOptions Silo { get; set; } = new();

    /// <summary>How often the map is asked for while nothing tells that there is a newer one. Default 1 s.</summary>
    public TimeSpan MapInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a silo may take to answer when it is asked for the map. Default 500 ms.</summary>
    public TimeSpan MapTimeout { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How long the first try with a silo may take before another is asked; doubled with each further try. Default 2 s.</summary>
    public TimeSpan TryTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Pause before a request is routed anew by the same map; doubled each time, with jitter. Default 20 ms.</summary>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Longest such pause. Default 500 ms.</summary>
    public TimeSpan RetryDelayMax { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>False never to ask a second silo while the first has not answered yet. Default true.</summary>
    public bool HedgeEnabled { get; set; } = true;

    /// <summary>
    /// How long a get waits for the first silo before the next holder is asked as well; null for the 95th percentile of that silo's recent
    /// gets of about this size. Default null.
    /// </summary>
    public TimeSpan? HedgeDelay { get; set; }

    /// <summary>Least of it when it is measured. Default 2 ms.</summary>
    public TimeSpan HedgeDelayMin { get; set; } = TimeSpan.FromMilliseconds(2);

    /// <summary>Gets that may be asked twice, as a share of all, above 0 to 1. Default 0.05.</summary>
    public double HedgeShare { get; set; } = 0.05;

    /// <summary>Checks every field.</summary>
    /// <returns>Null when the options are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (Endpoints is not { Count: > 0 and <= EndpointsMax })
            return KvError.InvalidArgument("Endpoints.Count", Endpoints?.Count, $"1 to {EndpointsMax}");
        foreach (string endpoint in Endpoints)
        {
            if (!Connections.SiloEndpoint.TryParse(endpoint, out _, out KvError? error)) return error;
        }

        if (!InRange(MapInterval, 3600)) return KvTierClientOptions.Span("MapInterval", MapInterval, "1 h");
        if (!InRange(MapTimeout, 300)) return KvTierClientOptions.Span("MapTimeout", MapTimeout, "5 min");
        if (!InRange(TryTimeout, 300)) return KvTierClientOptions.Span("TryTimeout", TryTimeout, "5 min");
        if (!InRange(RetryDelay, 300)) return KvTierClientOptions.Span("RetryDelay", RetryDelay, "5 min");
        if (!InRange(RetryDelayMax, 300)) return KvTierClientOptions.Span("RetryDelayMax", RetryDelayMax, "5 min");
        if (HedgeDelay is { } fixedDelay && !InRange(fixedDelay, 300)) return KvTierClientOptions.Span("HedgeDelay", fixedDelay, "5 min");
        if (!InRange(HedgeDelayMin, 300)) return KvTierClientOptions.Span("HedgeDelayMin", HedgeDelayMin, "5 min");
        if (HedgeShare is not (> 0 and <= 1)) return KvError.InvalidArgument("HedgeShare", HedgeShare, "above 0, at most 1");
        return SiloOptions(Endpoints[0]).Validate();
    }

    /// <summary>Options of the client of one silo.</summary>
    internal KvTierClientOptions SiloOptions(string endpoint)
    {
        KvTierClientOptions options = Silo.Clone();
        options.Endpoint = endpoint;
        options.Resilience.RetriesMax = 0;

        // The map gives addresses of TCP: there the arena is out of reach, and blocks come over the socket.
        if (options.Transport == TransportMode.Local && !endpoint.StartsWith("unix://", StringComparison.Ordinal))
            options.Transport = TransportMode.Auto;
        return options;
    }

    internal KvClusterClientOptions Clone()
    {
        var copy = (KvClusterClientOptions)MemberwiseClone();
        copy.Endpoints = [.. Endpoints];
        copy.Silo = Silo.Clone();
        return copy;
    }

    private static bool InRange(TimeSpan value, double seconds) => value > TimeSpan.Zero && value <= TimeSpan.FromSeconds(seconds);
}
