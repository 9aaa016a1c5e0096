namespace KvTier.Silo.Engines;

/// <summary>A way by which blocks come to an engine.</summary>
internal enum LoadPath : byte
{
    /// <summary>From host memory over a socket.</summary>
    Host,

    /// <summary>From host memory that the engine has mapped.</summary>
    Local,

    /// <summary>From the SSD into host memory.</summary>
    Ssd,

    /// <summary>From another silo into host memory.</summary>
    Peer,
}

/// <summary>
/// How fast blocks come, in bytes a second: a moving average for each path of transfers large enough to tell. Thread-safe.
/// </summary>
internal sealed class BandwidthMeter
{
    /// <summary>Transfers of fewer bytes say more of delays than of bandwidth, and are not counted.</summary>
    public const long BytesMin = 256 << 10;

    /// <summary>Weight of a new transfer.</summary>
    private const double Weight = 0.2;

    // What is taken for true until something was measured: below what current machines do, so that nothing slow is promised.
    private static readonly double[] assumed = [2e9, 8e9, 1e9, 1e9];

    private readonly Lock gate = new();
    private readonly double[] averages = new double[assumed.Length];
    private readonly long[] samples = new long[assumed.Length];

    /// <summary>A transfer has ended.</summary>
    public void Add(LoadPath path, long bytes, TimeSpan elapsed)
    {
        if (bytes < BytesMin || elapsed <= TimeSpan.Zero) return;
        double rate = bytes / elapsed.TotalSeconds;
        lock (gate)
        {
            ref double average = ref averages[(int)path];
            average = samples[(int)path]++ == 0 ? rate : average + (Weight * (rate - average));
        }
    }

    /// <summary>Bytes a second of a path.</summary>
    public double RateOf(LoadPath path)
    {
        lock (gate) return samples[(int)path] == 0 ? assumed[(int)path] : averages[(int)path];
    }

    /// <summary>Transfers that were counted.</summary>
    public long SamplesOf(LoadPath path)
    {
        lock (gate) return samples[(int)path];
    }
}
