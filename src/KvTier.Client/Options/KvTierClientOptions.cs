namespace KvTier.Client;

/// <summary>How a client reaches its silo and how long it waits. Set before connecting; the client takes a copy.</summary>
public sealed class KvTierClientOptions
{
    /// <summary>The silo: <c>tcp://host:port</c> or <c>unix:///path</c>. Default <c>tcp://127.0.0.1:7420</c>.</summary>
    public string Endpoint { get; set; } = "tcp://127.0.0.1:7420";

    /// <summary>Which path payload takes. Default <see cref="TransportMode.Auto"/>.</summary>
    public TransportMode Transport { get; set; } = TransportMode.Auto;

    /// <summary>
    /// Connections, 1 to 64. Requests go to the one with the fewest in flight. Default 2; further ones are opened under load.
    /// </summary>
    public int Connections { get; set; } = 2;

    /// <summary>Name by which the silo's log knows this client, 1 to 128 characters. Default <c>KvTier.Client</c>.</summary>
    public string ClientName { get; set; } = "KvTier.Client";

    /// <summary>Token that the silo asks for; null for none. Default null.</summary>
    public string? Token { get; set; }

    /// <summary>
    /// How long an operation may take, retries included, when its options do not say otherwise. Default 10 s, at most 5 min.
    /// </summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long one attempt to connect and shake hands may take. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Most requests in flight on one connection, 1 to 4,096; further callers wait. Default 128. The silo's own limit may be lower.
    /// </summary>
    public int InflightMax { get; set; } = 128;

    /// <summary>How long a lease on a block in shared memory is asked for, 1 ms to the silo's limit. Default 10 s.</summary>
    public TimeSpan LeaseDuration { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Smallest mean payload of a batch, in bytes, for which <see cref="TransportMode.Auto"/> takes the local path. Default 16 KiB.
    /// </summary>
    public int LocalBytesMin { get; set; } = 16 * 1024;

    /// <summary>Given-back leases that are collected before the silo is told. Default 64. It is told earlier after
    /// <see cref="ReleaseDelay"/>.</summary>
    public int ReleaseBatch { get; set; } = 64;

    /// <summary>Longest that a given-back lease waits before the silo is told. Default 2 ms.</summary>
    public TimeSpan ReleaseDelay { get; set; } = TimeSpan.FromMilliseconds(2);

    /// <summary>Retry, circuit breaker and reconnect.</summary>
    public ResilienceOptions Resilience { get; set; } = new();

    /// <summary>Clock of deadlines, timers and breaker. Default the system's. Lease deadlines need one whose timestamps are those of
    /// <c>CLOCK_MONOTONIC</c>, as the system's are.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>Checks every field.</summary>
    /// <returns>Null when the options are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (!KvTier.Client.Connections.SiloEndpoint.TryParse(Endpoint, out _, out KvError? error)) return error;
        if (!Enum.IsDefined(Transport)) return KvError.InvalidArgument("Transport", Transport.ToString(), "Auto, Wire or Local");
        if (Connections is < 1 or > 64) return KvError.InvalidArgument("Connections", Connections, "1 to 64");
        if (ClientName is not { Length: > 0 and <= 128 }) return KvError.InvalidArgument("ClientName", ClientName, "1 to 128 characters");
        if (RequestTimeout <= TimeSpan.Zero || RequestTimeout > TimeSpan.FromMinutes(5))
            return Span("RequestTimeout", RequestTimeout, "5 min");
        if (ConnectTimeout <= TimeSpan.Zero || ConnectTimeout > TimeSpan.FromMinutes(5))
            return Span("ConnectTimeout", ConnectTimeout, "5 min");
        if (InflightMax is < 1 or > 4096) return KvError.InvalidArgument("InflightMax", InflightMax, "1 to 4096");
        if (LeaseDuration < TimeSpan.FromMilliseconds(1) || LeaseDuration > TimeSpan.FromMinutes(5))
            return Span("LeaseDuration", LeaseDuration, "5 min");
        if (LocalBytesMin < 0) return KvError.InvalidArgument("LocalBytesMin", LocalBytesMin, "0 or more");
        if (ReleaseBatch is < 1 or > 4096) return KvError.InvalidArgument("ReleaseBatch", ReleaseBatch, "1 to 4096");
        if (ReleaseDelay < TimeSpan.Zero || ReleaseDelay > TimeSpan.FromSeconds(1)) return Span("ReleaseDelay", ReleaseDelay, "1 s");
        return Resilience.Validate();
    }

    internal KvTierClientOptions Clone()
    {
        var copy = (KvTierClientOptions)MemberwiseClone();
        copy.Resilience = Resilience.Clone();
        return copy;
    }

    internal static KvError Span(string field, TimeSpan value, string max) =>
        KvError.InvalidArgument(field, value.ToString(), $"above 0, at most {max}");
}
