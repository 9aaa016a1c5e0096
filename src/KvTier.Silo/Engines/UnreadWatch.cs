using KvTier.Engine;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Engines;

/// <summary>
/// Reports namespaces that are written and not read: once for each time that this begins, with what it is likely to come from. A timer
/// of the silo's clock steps it. Thread-safe.
/// </summary>
internal sealed class UnreadWatch : IDisposable
{
    private static readonly TimeSpan interval = TimeSpan.FromMinutes(1);

    private readonly BlockEngine engine;
    private readonly TimeSpan patience;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly ITimer? timer;
    private readonly Lock gate = new();
    private readonly Dictionary<ushort, Standing> standings = [];

    /// <summary>Makes it and starts its timer.</summary>
    /// <param name="engine">The store.</param>
    /// <param name="patience">How long a namespace may be written and not be read; zero for ever.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Log.</param>
    public UnreadWatch(BlockEngine engine, TimeSpan patience, TimeProvider time, ILogger logger)
    {
        this.engine = engine;
        this.patience = patience;
        this.time = time;
        this.logger = logger;
        if (patience > TimeSpan.Zero) timer = time.CreateTimer(_ => Step(), null, interval, interval);
    }

    /// <summary>Times that a namespace was reported.</summary>
    public long Reports { get; private set; }

    /// <summary>Namespaces that are written and not read now, each with the likely cause.</summary>
    public IReadOnlyList<(string Namespace, string Cause)> Unread
    {
        get
        {
            lock (gate) return [.. standings.Values.Where(each => each.Cause is not null).Select(each => (each.Name, each.Cause!))];
        }
    }

    /// <summary>Looks at every namespace once. The timer calls it; tests may too.</summary>
    public void Step()
    {
        IReadOnlyList<NamespaceDescriptor> all = engine.Namespaces;
        DateTimeOffset now = time.GetUtcNow();
        lock (gate)
        {
            for (ushort ns = 0; ns < all.Count; ns++)
            {
                if (!all[ns].IsInternal) Look(ns, all[ns].Name, now);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => timer?.Dispose();

    private void Look(ushort ns, string name, DateTimeOffset now)
    {
        NamespaceTraffic traffic = engine.Traffic(ns);
        if (!standings.TryGetValue(ns, out Standing? standing)) standings[ns] = standing = new Standing(name);
        if (traffic.Hits != standing.Read.Hits)
        {
            // It is read: from here on what is written has to be read again.
            standing.Read = traffic;
            standing.Since = null;
            standing.Cause = null;
            return;
        }

        if (traffic.Stored == standing.Read.Stored) return;
        standing.Since ??= now;
        if (standing.Cause is not null || now - standing.Since < patience) return;
        standing.Cause = CauseOf(traffic.Misses - standing.Read.Misses, traffic.Lookups - standing.Read.Lookups);
        Reports++;
        logger.WrittenNeverRead(name, traffic.Stored - standing.Read.Stored, (now - standing.Since.Value).TotalMinutes, standing.Cause);
    }

    /// <summary>What it is likely to come from.</summary>
    /// <param name="misses">Blocks that were asked for in vain.</param>
    /// <param name="lookups">Prefixes that were looked up.</param>
    internal static string CauseOf(long misses, long lookups) => (misses, lookups) switch
    {
        (0, 0) => "nobody asks for blocks: an engine that only writes (vLLM's kv_role kv_producer), a load path that is not configured, or "
            + "engines that use another namespace",
        _ => "blocks are looked up and never found: engines whose hashes differ (algorithm, or PYTHONHASHSEED; /engines shows what they "
            + "said), another model, dtype or block size, or prompts that do not repeat",
    };

    /// <summary>How a namespace stands.</summary>
    private sealed class Standing(string name)
    {
        public string Name { get; } = name;

        /// <summary>What was done when it was last seen to be read.</summary>
        public NamespaceTraffic Read { get; set; }

        /// <summary>When it was first seen to be written since.</summary>
        public DateTimeOffset? Since { get; set; }

        /// <summary>The likely cause; null while it is not reported.</summary>
        public string? Cause { get; set; }
    }
}
