using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Events;

/// <summary>What events log; event ids 5300 to 5319.</summary>
internal static partial class EventLog
{
    [LoggerMessage(5300, LogLevel.Information, "KV events at {Endpoint} as {Form}, replay at {Replay}, topic {Topic}")]
    public static partial void EventsOn(this ILogger logger, string endpoint, string form, string replay, string topic);

    [LoggerMessage(5301, LogLevel.Warning,
        "KV events at {Endpoint}: connection from {Peer} refused: {Reason}; later ones are counted (kvtier.events.handshake_failures)")]
    public static partial void HandshakeFailed(this ILogger logger, string endpoint, string peer, string reason);

    [LoggerMessage(5302, LogLevel.Debug, "KV events at {Endpoint}: connection from {Peer} refused: {Reason}")]
    public static partial void HandshakeFailedAgain(this ILogger logger, string endpoint, string peer, string reason);

    [LoggerMessage(5303, LogLevel.Information, "KV events at {Endpoint}: {Peer} is connected")]
    public static partial void SubscriberCame(this ILogger logger, string endpoint, string peer);

    [LoggerMessage(5304, LogLevel.Information, "KV events at {Endpoint}: {Peer} has gone: {Reason}")]
    public static partial void SubscriberGone(this ILogger logger, string endpoint, string peer, string reason);

    [LoggerMessage(5305, LogLevel.Warning,
        "KV events at {Endpoint}: {Peer} does not keep up, messages are dropped for it; its sequence has gaps until it asks for replay")]
    public static partial void SubscriberSlow(this ILogger logger, string endpoint, string peer);

    [LoggerMessage(5306, LogLevel.Warning, "KV events at {Endpoint}: replay asked for by {Peer} in a form that is not known: {Reason}")]
    public static partial void ReplayRefused(this ILogger logger, string endpoint, string peer, string reason);

    [LoggerMessage(5307, LogLevel.Warning,
        "Notes for KV events are dropped, there is no room for more (events.noteBytes): blocks without one are not told to routers")]
    public static partial void NotesDropped(this ILogger logger);

    [LoggerMessage(5309, LogLevel.Warning, "KV events for {Endpoint}: not connected, trying again: {Reason}")]
    public static partial void ConnectFailed(this ILogger logger, string endpoint, string reason);

    [LoggerMessage(5310, LogLevel.Warning,
        "KV events at {Endpoint} without events.user: anyone who reaches the port reads token ids, which are prompts")]
    public static partial void EventsOpenToAll(this ILogger logger, string endpoint);

    [LoggerMessage(5308, LogLevel.Error, "Publishing KV events failed, trying again")]
    public static partial void PublishFailed(this ILogger logger, Exception error);
}
