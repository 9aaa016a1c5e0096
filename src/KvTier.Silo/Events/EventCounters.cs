namespace KvTier.Silo.Events;

/// <summary>What is counted of events; thread-safe.</summary>
internal sealed class EventCounters
{
    private long batches, stored, removed, cleared, messagesDropped, replays, refused, stalled, handshakeFailures, requestsRefused;

    /// <summary>Batches published.</summary>
    public long Batches => Interlocked.Read(ref batches);

    /// <summary>Blocks told as stored, once for each medium.</summary>
    public long Stored => Interlocked.Read(ref stored);

    /// <summary>Blocks told as removed, once for each medium.</summary>
    public long Removed => Interlocked.Read(ref removed);

    /// <summary>Times that everything told before was revoked.</summary>
    public long Cleared => Interlocked.Read(ref cleared);

    /// <summary>Messages dropped because a subscriber did not keep up.</summary>
    public long MessagesDropped => Interlocked.Read(ref messagesDropped);

    /// <summary>Replays answered.</summary>
    public long Replays => Interlocked.Read(ref replays);

    /// <summary>Requests for replay that could not be read.</summary>
    public long RequestsRefused => Interlocked.Read(ref requestsRefused);

    /// <summary>Connections refused because there were too many.</summary>
    public long Refused => Interlocked.Read(ref refused);

    /// <summary>Subscribers ended because they read nothing for long.</summary>
    public long Stalled => Interlocked.Read(ref stalled);

    /// <summary>Connections ended because the peer did not speak ZMTP 3, or not the socket type or mechanism wanted.</summary>
    public long HandshakeFailures => Interlocked.Read(ref handshakeFailures);

    /// <summary>A batch was published.</summary>
    public void Published(long blocksStored, long blocksRemoved, long clears)
    {
        Interlocked.Increment(ref batches);
        Interlocked.Add(ref stored, blocksStored);
        Interlocked.Add(ref removed, blocksRemoved);
        Interlocked.Add(ref cleared, clears);
    }

    /// <summary>A message was dropped for a subscriber.</summary>
    public void MessageDropped() => Interlocked.Increment(ref messagesDropped);

    /// <summary>A replay was answered.</summary>
    public void Replayed() => Interlocked.Increment(ref replays);

    /// <summary>A request for replay could not be read.</summary>
    public void RequestRefused() => Interlocked.Increment(ref requestsRefused);

    /// <summary>A connection was refused.</summary>
    public void ConnectionRefused() => Interlocked.Increment(ref refused);

    /// <summary>A subscriber was ended.</summary>
    public void SubscriberStalled() => Interlocked.Increment(ref stalled);

    /// <summary>A handshake failed.</summary>
    public void HandshakeFailed() => Interlocked.Increment(ref handshakeFailures);
}
