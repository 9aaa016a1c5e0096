using KvTier.Engine;
using KvTier.Recall;
using KvTier.Silo.Clustering;
using KvTier.Silo.Metrics;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Native;

/// <summary>What every native connection of a silo shares.</summary>
internal sealed class NativeContext
{
    /// <summary>The silo's options.</summary>
    public required SiloOptions Options { get; init; }

    /// <summary>The store.</summary>
    public required BlockEngine Engine { get; init; }

    /// <summary>The sequences; those of the cluster in one. Set before anybody is accepted.</summary>
    public required ISequences Sequences { get; set; }

    /// <summary>Bytes of queries that all connections hold while their recalls run.</summary>
    public ByteBudget QueryBytes { get; } = new(16L * Protocol.WireBounds.RecallQueryBytesMax);

    /// <summary>The silo's part in its cluster; null outside of one. Set before anybody is accepted.</summary>
    public SiloCluster? Cluster { get; set; }

    /// <summary>Bytes of payloads of other silos' calls that all connections hold while they are answered.</summary>
    public ByteBudget PeerBytes { get; } = new(4L * Protocol.WireBounds.PeerPayloadBytesMax);

    /// <summary>Registers namespaces.</summary>
    public required NamespaceRegistry Namespaces { get; init; }

    /// <summary>Counters.</summary>
    public required SiloMetrics Metrics { get; init; }

    /// <summary>What is done for engines beside blocks.</summary>
    public required Engines.EngineDesk Desk { get; init; }

    /// <summary>KV events; null when none are published. Set before anybody is accepted.</summary>
    public Events.KvEvents? Events { get; set; }

    /// <summary>Log.</summary>
    public required ILogger Logger { get; init; }

    /// <summary>Clock. Its timestamps are those of <c>CLOCK_MONOTONIC</c> in ns, which local clients compare with.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>The answer to Stat.</summary>
    public required Func<string> Stat { get; init; }

    /// <summary>The limits.</summary>
    public Limits Limits => Options.Limits;

    /// <summary>Compares tokens.</summary>
    public TokenCheck Token => token ??= new TokenCheck(Options.Token);

    /// <summary>Compares tokens of other silos.</summary>
    public TokenCheck PeerToken => peerToken ??= new TokenCheck(Options.Cluster.Token ?? Options.Token);

    private TokenCheck? token;
    private TokenCheck? peerToken;
}
