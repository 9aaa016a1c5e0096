using KvTier.Client.Connections;
using KvTier.Protocol;

namespace KvTier.Client.Routing;

/// <summary>
/// Knows the newest map: asks for it when somebody has heard of a newer one, and now and then. Links of silos that are in it no more are
/// closed, which ends what was asked of them. Thread-safe.
/// </summary>
internal sealed class MapSource : IAsyncDisposable
{
    private readonly KvClusterClientOptions options;
    private readonly Lock gate = new();
    private readonly CancellationTokenSource stopping = new();
    private readonly Dictionary<string, string> socketOf = new(StringComparer.Ordinal);
    private readonly List<SiloLink> seeds;
    private readonly List<Task> closing = [];
    private volatile RouteTable? table;
    private Task? running;
    private Task? watching;
    private long changes;
    private long askedAt = long.MinValue;

    public MapSource(KvClusterClientOptions options)
    {
        this.options = options;
        seeds = [.. options.Endpoints.Select(endpoint => new SiloLink(endpoint, options.SiloOptions(endpoint)))];
    }

    /// <summary>The newest map and its links; null before the first.</summary>
    public RouteTable? Table => table;

    /// <summary>How often the map was replaced.</summary>
    public long Changes => Volatile.Read(ref changes);

    /// <summary>Asks the silos to begin with until one has given a map, and those on this machine in any case: only they can say which
    /// silo of the map is reached by their socket. Then watches.</summary>
    /// <returns>Null when there is a map; the last error otherwise.</returns>
    public async ValueTask<KvError?> ConnectAsync(CancellationToken cancellationToken)
    {
        KvError? last = null;
        foreach (SiloLink seed in seeds)
        {
            bool isFirst = table is null;
            if (!isFirst && !IsUnix(seed)) continue;
            KvError? error = await AskAsync(seed, isFirst ? options.Silo.ConnectTimeout : options.MapTimeout, cancellationToken)
                .ConfigureAwait(false);
            last = table is null ? error : null;
        }

        cancellationToken.ThrowIfCancellationRequested();
        if (table is null) return last;
        watching = Task.Run(WatchAsync, CancellationToken.None);
        return null;
    }

    /// <summary>Asks for a newer map. Whoever asks meanwhile waits for the same answer.</summary>
    /// <param name="hint">Who has said that there is one; null when nobody has.</param>
    public Task RefreshAsync(SiloLink? hint)
    {
        lock (gate)
        {
            if (running is { IsCompleted: false }) return running;
            return running = Task.Run(() => AskAnyAsync(hint));
        }
    }

    /// <summary>Sees that the map is asked for, without waiting, when a silo did not answer; not more often than is of use.</summary>
    public void Suspected()
    {
        long now = options.Silo.TimeProvider.GetTimestamp();
        if (Volatile.Read(ref askedAt) > now) return;
        Volatile.Write(ref askedAt, ClientClock.After(options.Silo.TimeProvider, options.RetryDelay));
        _ = RefreshAsync(null);
    }

    /// <summary>Sees that a newer map is asked for, without waiting, when an answer's epoch tells of one.</summary>
    public void Heard(long epoch, SiloLink from)
    {
        if (table is { } known && epoch > known.Epoch) _ = RefreshAsync(from);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync().ConfigureAwait(false);
        if (watching is not null) await watching.ConfigureAwait(false);
        Task? last;
        lock (gate) last = running;
        if (last is not null) await last.ConfigureAwait(false);
        foreach (SiloLink link in seeds.Concat(table?.Links ?? [])) await link.DisposeAsync().ConfigureAwait(false);
        Task[] left;
        lock (gate) left = [.. closing];
        await Task.WhenAll(left).ConfigureAwait(false);
        stopping.Dispose();
    }

    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(options.MapInterval, options.Silo.TimeProvider);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token).ConfigureAwait(false)) await RefreshAsync(null).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The client is closed.
        }
    }

    /// <summary>Asks one silo after the other until one answers: first who knows, then the others in an order that is not always the
    /// same, those that answer well before those that don't, and the endpoints to begin with at last.</summary>
    private async Task AskAnyAsync(SiloLink? hint)
    {
        if (hint is not null && await AskAsync(hint, options.MapTimeout, stopping.Token).ConfigureAwait(false) is null) return;
        SiloLink[] links = [.. table!.Links];
        Random.Shared.Shuffle(links);
        foreach (SiloLink link in links.OrderBy(link => link.IsSuspect).Concat(seeds))
        {
            if (stopping.IsCancellationRequested) return;
            if (await AskAsync(link, options.MapTimeout, stopping.Token).ConfigureAwait(false) is null) return;
        }
    }

    private async ValueTask<KvError?> AskAsync(SiloLink link, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var ask = new Requests.ClusterMapExchange(table?.Epoch ?? 0);
        KvError? error = await link.ExecuteAsync(ask, timeout, cancellationToken).ConfigureAwait(false);
        if (error is { Code: ErrorCode.Unsupported } && table is null)
        {
            // A silo of a version before clusters is one of its own.
            return Take(ClusterMapResponse.OutsideOf(link.Silo!.Name), link);
        }

        if (error is not null)
        {
            link.Suspect();
            return error;
        }

        return Take(ask.Response!, link);
    }

    private KvError? Take(ClusterMapResponse response, SiloLink from)
    {
        lock (gate)
        {
            bool isNewWay = IsUnix(from) && socketOf.TryAdd(response.Self, from.Endpoint);
            if (response.Epoch == 0 && table is null) Replace(MapOfOne(response.Self, from.Endpoint));
            else if (response.Map is { Silos.Count: > 0 } map && IsNewer(map)) Replace(map);
            else if (isNewWay && table is { Epoch: > 0 } known) Replace(known.Map);
            return table is not null
                ? null
                : new KvError(ErrorCode.Unavailable, "map.silos", "none", "a cluster with at least one silo");
        }
    }

    private static bool IsUnix(SiloLink link) => SiloEndpoint.TryParse(link.Endpoint, out SiloEndpoint? way, out _) && way.IsUnix;

    private bool IsNewer(ClusterMap map) =>
        table is not { } known || (map.Epoch > known.Epoch && (known.Epoch == 0 || known.Map.Cluster == map.Cluster));

    private void Replace(ClusterMap map)
    {
        SiloLink[] before = table?.Links ?? [];
        var links = new SiloLink[map.Silos.Count];
        for (int i = 0; i < links.Length; i++)
        {
            SiloEntry silo = map.Silos[i];
            string endpoint = EndpointOf(silo);
            links[i] = Array.Find(before, link => link.Name == silo.Name && link.Endpoint == endpoint)
                ?? new SiloLink(silo.Name, options.SiloOptions(endpoint));
        }

        table = new RouteTable(map, links);
        changes++;
        closing.RemoveAll(task => task.IsCompleted);
        foreach (SiloLink link in before.Except(links)) closing.Add(Task.Run(() => link.DisposeAsync().AsTask()));
    }

    private string EndpointOf(SiloEntry silo) =>
        socketOf.TryGetValue(silo.Name, out string? socket) ? socket
        : silo.Endpoint.Contains("://", StringComparison.Ordinal) ? silo.Endpoint
        : $"tcp://{silo.Endpoint}";

    /// <summary>A silo outside of a cluster, as a map: it owns everything.</summary>
    private static ClusterMap MapOfOne(string name, string endpoint) => new(
        "", 0, 0,
        [new SiloEntry { Name = name, Endpoint = endpoint, CapacityBytes = 1, Protocol = FrameHeader.Version, DiskFormat = 0 }],
        new ClusterSettings(), new Dictionary<BlockId, string>());
}
