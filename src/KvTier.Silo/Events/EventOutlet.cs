using System.Collections.Concurrent;
using System.Net;
using KvTier.Protocol;
using KvTier.Protocol.Zmtp;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Events;

/// <summary>One place where events are published in one form, with the place where missed ones are asked for.</summary>
internal sealed class EventOutlet : IAsyncDisposable
{
    private readonly EventSettings settings;
    private readonly KvEventForm form;
    private readonly KvEventWriter writer;
    private readonly ZmtpListener publisher;
    private readonly ZmtpListener? replay;
    private readonly ZmtpDialer[] dialers;
    private readonly ZmtpLimits limits;
    private readonly EventCounters counters;
    private readonly ILogger logger;
    private readonly ConcurrentDictionary<Subscriber, string> subscribers = new();
    private readonly EventRing ring;

    /// <summary>Makes an outlet; nothing is bound yet.</summary>
    public EventOutlet(
        EventSettings settings, KvEventForm form, string option, string endpoint, string? replayEndpoint, ZmtpLimits limits,
        EventCounters counters, ILogger logger)
    {
        // Whoever waits at a fixed place gets the form of the first endpoint.
        dialers = option != "endpoint" ? [] : [.. settings.Connect.Select(remote => Dial(settings, remote, limits, counters, logger))];
        this.settings = settings;
        this.form = form;
        this.limits = limits;
        this.counters = counters;
        this.logger = logger;
        writer = new KvEventWriter(form, settings.HashForm);
        ring = new EventRing(settings.Buffer, settings.BufferBytes);
        publisher = Listen($"events.{option}", endpoint, ZmtpRole.Publisher(settings));
        string replayOption = option == "endpoint" ? "events.replayEndpoint" : "events.arrayReplayEndpoint";
        replay = replayEndpoint is null ? null : Listen(replayOption, replayEndpoint, ZmtpRole.Replay(settings));
    }

    /// <summary>Where it publishes.</summary>
    public string Address => publisher.Address;

    /// <summary>True when other machines reach it.</summary>
    public bool IsReachable => publisher.IsReachable || replay is { IsReachable: true };

    /// <summary>Where it replays; null for nowhere.</summary>
    public string? ReplayAddress => replay?.Address;

    /// <summary>Subscribers now.</summary>
    public int Subscribers => subscribers.Count;

    /// <summary>Those of them that want a topic.</summary>
    public int Subscribed => subscribers.Keys.Count(each => each.Wanted.Any);

    /// <summary>True when nothing waits for any subscriber.</summary>
    public bool IsSent => subscribers.Keys.All(each => each.IsSent);

    /// <summary>Batches kept.</summary>
    public int Kept => ring.Count;

    /// <summary>Binds.</summary>
    /// <returns>Null, or why it can't.</returns>
    public KvError? Bind() => publisher.Bind() ?? replay?.Bind();

    /// <summary>Starts to accept.</summary>
    public void Accept()
    {
        publisher.Accept(ServeSubscriberAsync);
        replay?.Accept(ServeReplayAsync);
        foreach (ZmtpDialer dialer in dialers) dialer.Start(ServeSubscriberAsync);
        logger.EventsOn(Address, form.ToString(), ReplayAddress ?? "off", settings.Topic);
    }

    /// <summary>Publishes a batch. Never waits for a subscriber.</summary>
    public void Publish(byte[] topic, byte[] sequence, long number, double seconds, IReadOnlyList<KvEvent> events)
    {
        byte[] payload;
        using (var buffer = new FrameBuffer())
        {
            writer.Write(buffer, seconds, events);
            payload = buffer.WrittenMemory.ToArray();
        }

        ring.Add(new PublishedBatch(topic, sequence, number, payload));
        byte[] message = ZmtpFrame.Message(topic, sequence, payload);
        foreach ((Subscriber subscriber, string peer) in subscribers)
        {
            if (subscriber.Offer(topic, message, out bool isFirst)) continue;
            counters.MessageDropped();
            if (isFirst) logger.SubscriberSlow(Address, peer);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (ZmtpDialer dialer in dialers) await dialer.DisposeAsync();
        await publisher.DisposeAsync();
        if (replay is not null) await replay.DisposeAsync();
    }

    private async Task<string> ServeSubscriberAsync(ZmtpSession session, string peer, CancellationToken stop)
    {
        var subscriber = new Subscriber(session, new SendQueue(settings.Hwm, settings.BufferBytes), limits.StallTimeout);
        subscribers[subscriber] = peer;
        try
        {
            return await subscriber.RunAsync(stop);
        }
        finally
        {
            subscribers.TryRemove(subscriber, out _);
            if (subscriber.IsStalled) counters.SubscriberStalled();
        }
    }

    private Task<string> ServeReplayAsync(ZmtpSession session, string peer, CancellationToken stop) =>
        new ReplayClient(session, ring, settings.ReplayTopic, limits.StallTimeout)
        {
            OnReplay = counters.Replayed,
            OnRefused = reason =>
            {
                counters.RequestRefused();
                logger.ReplayRefused(ReplayAddress ?? "", peer, reason);
            },
        }.RunAsync(stop);

    private static ZmtpDialer Dial(EventSettings settings, string remote, ZmtpLimits limits, EventCounters counters, ILogger logger) =>
        ZmqAddress.TryParseRemote(remote, out string host, out int port)
            ? new ZmtpDialer(host, port, ZmtpRole.Publisher(settings), limits, counters, logger)
            : throw new ArgumentException(remote, nameof(remote));

    private ZmtpListener Listen(string option, string endpoint, ZmtpRole role) =>
        new(option, ZmqAddress.TryParse(endpoint, out EndPoint? where) ? where : throw new ArgumentException(endpoint, nameof(endpoint)),
            role, limits, counters, logger);
}
