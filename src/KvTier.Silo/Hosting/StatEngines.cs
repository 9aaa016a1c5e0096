using System.Text.Json;

namespace KvTier.Silo;

/// <summary>What Stat and <c>/engines</c> say of the engines that the silo serves.</summary>
internal sealed record StatEngines
{
    /// <summary>Engines that said hello to this silo, by namespace.</summary>
    public required IReadOnlyList<StatEngineNamespace> Namespaces { get; init; }

    /// <summary>How fast blocks come, by path.</summary>
    public required IReadOnlyList<StatBandwidth> Bandwidth { get; init; }

    /// <summary>What is published; null when nothing is.</summary>
    public StatEvents? Events { get; init; }

    /// <summary>The JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, SiloJson.Default.StatEngines);
}

/// <summary>The engines of a namespace.</summary>
/// <param name="Name">Tenant and profile.</param>
/// <param name="DifferingFields">In what they differ now; empty when all is well.</param>
/// <param name="Unread">Why it is likely that its blocks are written and never read; null while all is well.</param>
/// <param name="Stored">Blocks stored since start.</param>
/// <param name="Hits">Blocks read since start.</param>
/// <param name="Misses">Blocks asked for in vain since start.</param>
/// <param name="Engines">The engines.</param>
internal sealed record StatEngineNamespace(
    string Name, IReadOnlyList<string> DifferingFields, string? Unread, long Stored, long Hits, long Misses,
    IReadOnlyList<StatEngine> Engines);

/// <summary>An engine.</summary>
internal sealed record StatEngine(
    string Engine, string Version, string Instance, IReadOnlyDictionary<string, string> Fields, DateTimeOffset SeenAt);

/// <summary>How fast blocks come by a path.</summary>
/// <param name="Path"><c>host</c>, <c>local</c>, <c>ssd</c> or <c>peer</c>.</param>
/// <param name="BytesPerSecond">The moving average; what is assumed while nothing was measured.</param>
/// <param name="Transfers">Transfers that were measured.</param>
internal sealed record StatBandwidth(string Path, double BytesPerSecond, long Transfers);

/// <summary>What is published.</summary>
internal sealed record StatEvents(
    IReadOnlyList<StatOutlet> Outlets, long Batches, long Stored, long Removed, long MessagesDropped, long Notes, long NoteBytes,
    long NotesDropped, long Replays, long HandshakeFailures);

/// <summary>A place where events are published.</summary>
internal sealed record StatOutlet(string Endpoint, string? Replay, int Subscribers, int Subscribed, int BatchesKept);
