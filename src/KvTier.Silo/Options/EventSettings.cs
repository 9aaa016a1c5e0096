using KvTier.Protocol;

namespace KvTier.Silo;

/// <summary>KV events over ZeroMQ: where they are published, how they are written, and how much is kept.</summary>
public sealed record EventSettings
{
    /// <summary>Allowed values of <see cref="Format"/>.</summary>
    internal static readonly string[] Formats = ["map", "array", "fullMap", "both"];

    /// <summary>Allowed values of <see cref="Hashes"/>.</summary>
    internal static readonly string[] HashForms = ["int", "signed", "bytes"];

    /// <summary>Where subscribers connect, such as <c>tcp://*:5557</c> or <c>ipc:///run/kvtier-events.sock</c>; null for no events.
    /// Default null.</summary>
    public string? Endpoint { get; init; }

    /// <summary>Where they ask for batches they missed; null for nowhere. Default null.</summary>
    public string? ReplayEndpoint { get; init; }

    /// <summary>Subscribers that wait at a fixed place, such as <c>tcp://indexer:5557</c>; the silo connects to each. Default
    /// none.</summary>
    public IReadOnlyList<string> Connect { get; init; } = [];

    /// <summary>With <see cref="Format"/> <c>both</c>, where those subscribe who want arrays. Default null.</summary>
    public string? ArrayEndpoint { get; init; }

    /// <summary>Where those ask for batches they missed. Default null.</summary>
    public string? ArrayReplayEndpoint { get; init; }

    /// <summary>The topic, with <c>{silo}</c>, <c>{tenant}</c> and <c>{model}</c> in it. Default <c>kv@{silo}@{model}</c>.</summary>
    public string Topic { get; init; } = "kv@{silo}@{model}";

    /// <summary>How events are written: <c>map</c>, <c>array</c>, <c>fullMap</c>, or <c>both</c> map and array, each at an endpoint of its
    /// own. Default <c>map</c>.</summary>
    public string Format { get; init; } = "map";

    /// <summary>How hashes are written: <c>int</c>, <c>signed</c> or <c>bytes</c>. Default <c>int</c>.</summary>
    public string Hashes { get; init; } = "int";

    /// <summary>True when answers to a request for replay name the topic before the number, as newer engines do. Default true.</summary>
    public bool ReplayTopic { get; init; } = true;

    /// <summary>Batches kept for replay. Default 10,000.</summary>
    public int Buffer { get; init; } = 10_000;

    /// <summary>Bytes of them, and most bytes that wait for one subscriber. Default 64 MiB.</summary>
    public long BufferBytes { get; init; } = 64L << 20;

    /// <summary>Messages that wait for one subscriber; more are dropped for it. Default 10,000.</summary>
    public int Hwm { get; init; } = 10_000;

    /// <summary>Memory for what engines said of blocks. Default 64 MiB.</summary>
    public long NoteBytes { get; init; } = 64L << 20;

    /// <summary>Most subscribers and askers at one endpoint. Default 256.</summary>
    public int SubscribersMax { get; init; } = 256;

    /// <summary>Name that subscribers show (mechanism PLAIN); null for none (mechanism NULL). Default null.</summary>
    public string? User { get; init; }

    /// <summary>Password of that name. Default null.</summary>
    public string? Password { get; init; }

    /// <summary>True when events are published.</summary>
    internal bool IsOn => Endpoint is not null;

    /// <summary>The form of the first endpoint.</summary>
    internal KvEventForm Form => Format switch
    {
        "array" => KvEventForm.Array,
        "fullMap" => KvEventForm.FullMap,
        _ => KvEventForm.Map,
    };

    /// <summary>How hashes are written.</summary>
    internal KvEventHashes HashForm => Hashes switch
    {
        "signed" => KvEventHashes.Signed,
        "bytes" => KvEventHashes.Bytes,
        _ => KvEventHashes.Int,
    };

    /// <summary>Checks what must agree.</summary>
    internal KvError? Validate()
    {
        if (Format == "both" && IsOn && ArrayEndpoint is null)
            return KvError.InvalidArgument("events.arrayEndpoint", "none", "an endpoint, as events.format is both");
        if (ArrayEndpoint is not null && Format != "both")
            return KvError.InvalidArgument("events.format", Format, "both, as events.arrayEndpoint is given");
        if (!IsOn && Connect.Count > 0)
            return KvError.InvalidArgument("events.endpoint", "none", "an endpoint, as events.connect is given");
        if (!IsOn && (ReplayEndpoint ?? ArrayEndpoint ?? ArrayReplayEndpoint) is not null)
            return KvError.InvalidArgument("events.endpoint", "none", "an endpoint, as another events endpoint is given");
        if (ArrayReplayEndpoint is not null && ArrayEndpoint is null)
            return KvError.InvalidArgument("events.arrayEndpoint", "none", "an endpoint, as events.arrayReplayEndpoint is given");
        return (User is null) == (Password is null)
            ? null
            : KvError.InvalidArgument(User is null ? "events.user" : "events.password", "none", "both a user and a password, or neither");
    }
}
