using System.Runtime.CompilerServices;
using KvTier.Client.Connections;
using KvTier.Client.Requests;

namespace KvTier.Client.Routing;

/// <summary>The way to one silo of the map: its client, made on first use, and what is known of how it answers. Thread-safe.</summary>
internal sealed class SiloLink : IAsyncDisposable
{
    private static readonly TimeSpan suspicion = TimeSpan.FromMilliseconds(250);

    private readonly Lock gate = new();
    private readonly KvTierClientOptions options;
    private readonly List<KvNamespace?> namespaces = [];
    private KvTierClient? client;
    private bool disposed;
    private long suspectUntil = long.MinValue;

    public SiloLink(string name, KvTierClientOptions options)
    {
        Name = name;
        this.options = options;
    }

    /// <summary>The silo's name.</summary>
    public string Name { get; }

    /// <summary>Where it is reached.</summary>
    public string Endpoint => options.Endpoint;

    /// <summary>How long its gets took lately.</summary>
    public LatencyWindow Latency { get; } = new();

    /// <summary>True for a while after it did not answer: others are asked first where that is possible.</summary>
    public bool IsSuspect => Volatile.Read(ref suspectUntil) > options.TimeProvider.GetTimestamp();

    /// <summary>What it said of itself; null before the first connection.</summary>
    public SiloInfo? Silo
    {
        get
        {
            lock (gate) return client?.Silo;
        }
    }

    /// <summary>Blocks whose bytes failed their check.</summary>
    public long CorruptBlocks
    {
        get
        {
            lock (gate) return client?.CorruptBlocks ?? 0;
        }
    }

    /// <summary>Notes that it did not answer, or too late.</summary>
    public void Suspect() => Volatile.Write(ref suspectUntil, ClientClock.After(options.TimeProvider, suspicion));

    /// <summary>Notes that it answered.</summary>
    public void Trust() => Volatile.Write(ref suspectUntil, long.MinValue);

    /// <summary>The client; null when the silo has left.</summary>
    public KvTierClient? Client
    {
        get
        {
            lock (gate) return disposed ? null : client ??= new KvTierClient(options);
        }
    }

    /// <summary>A namespace on the silo; null when it has left.</summary>
    public KvNamespace? NamespaceOf(KvClusterNamespace ns)
    {
        lock (gate)
        {
            if (disposed) return null;
            client ??= new KvTierClient(options);
            while (namespaces.Count <= ns.Index) namespaces.Add(null);
            return namespaces[ns.Index] ??= client.NamespaceOf(ns.Descriptor);
        }
    }

    /// <summary>Sends a request.</summary>
    /// <returns>Null when it holds its answer; <see cref="Request.Cancelled"/> when the token was cancelled.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<KvError?> ExecuteAsync(Request request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (Client is not { } open) return Left();
        try
        {
            return await open.ExecuteAsync(request, timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return Request.Cancelled;
        }
        catch (ObjectDisposedException)
        {
            return Left();
        }
    }

    /// <summary>The answer of a silo that is not in the map any more.</summary>
    public KvError Left() => new(ErrorCode.Unavailable, $"silo {Name}", "left", "a silo of the map");

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        KvTierClient? last;
        lock (gate)
        {
            disposed = true;
            last = client;
        }

        if (last is not null) await last.DisposeAsync().ConfigureAwait(false);
    }
}
