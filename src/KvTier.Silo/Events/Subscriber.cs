using System.Net.Sockets;
using KvTier.Protocol.Zmtp;

namespace KvTier.Silo.Events;

/// <summary>One subscriber: what it wants, and what waits for it. A slow one loses messages and nobody else does.</summary>
/// <param name="session">Its connection, greeted.</param>
/// <param name="queue">What waits for it.</param>
/// <param name="stallTimeout">Longest that one send may take.</param>
internal sealed class Subscriber(ZmtpSession session, SendQueue queue, TimeSpan stallTimeout)
{
    private const byte Subscribe = 1, Cancel = 0;

    private int dropped;

    /// <summary>What it wants.</summary>
    public Subscriptions Wanted { get; } = new();

    /// <summary>True when it ended because it read nothing for long.</summary>
    public bool IsStalled { get; private set; }

    /// <summary>True when nothing waits for it.</summary>
    public bool IsSent => queue.IsSent;

    /// <summary>Hands it a message, if it wants its topic.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="message">The message as it goes over the wire.</param>
    /// <param name="isFirstDrop">True when it is the first that was dropped.</param>
    /// <returns>False when the message was dropped.</returns>
    public bool Offer(byte[] topic, byte[] message, out bool isFirstDrop)
    {
        isFirstDrop = false;
        if (!Wanted.Wants(topic) || queue.TryAdd(message)) return true;
        isFirstDrop = Interlocked.Increment(ref dropped) == 1;
        return false;
    }

    /// <summary>Serves until the peer closes, breaks the protocol, or stalls.</summary>
    /// <returns>Why it ended.</returns>
    public async Task<string> RunAsync(CancellationToken stop)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task<string> reading = ReadAsync(ending.Token), writing = WriteAsync(ending.Token);
        Task<string> first = await Task.WhenAny(reading, writing);
        await ending.CancelAsync();
        await Task.WhenAll(reading, writing);
        return await first;
    }

    private async Task<string> ReadAsync(CancellationToken stop)
    {
        try
        {
            while (await session.ReadAsync(stop) is { } flags)
            {
                if (Take(flags) is { } violation) return violation;
            }

            return session.Violation ?? "closed";
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            return e is OperationCanceledException ? "stopped" : e.Message;
        }
    }

    // Subscriptions are commands since ZMTP 3.1, and messages that begin with 1 or 0 before.
    private string? Take(ZmtpFlags flags)
    {
        ReadOnlySpan<byte> body = session.Body.Span;
        if ((flags & ZmtpFlags.Command) == ZmtpFlags.None)
        {
            if (body.IsEmpty || body[0] > Subscribe) return null;
            return Change(body[0] != Cancel, body[1..]);
        }

        if (!ZmtpCommand.TryRead(body, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> data)) return "a command without a name";
        if (name.SequenceEqual("SUBSCRIBE"u8)) return Change(true, data);
        if (name.SequenceEqual("CANCEL"u8)) return Change(false, data);
        bool isIgnored = ZmtpSession.AnswerOf(name, data) is { } answer && !queue.TryAnswer(answer);
        return isIgnored ? "heartbeats whose answers it does not read" : null;
    }

    private string? Change(bool add, ReadOnlySpan<byte> prefix)
    {
        if (!add) Wanted.Remove(prefix);
        else if (!Wanted.Add(prefix)) return $"more than {Subscriptions.Max} subscriptions";
        return null;
    }

    private async Task<string> WriteAsync(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                byte[] message = await queue.TakeAsync(stop);
                using var sending = CancellationTokenSource.CreateLinkedTokenSource(stop);
                sending.CancelAfter(stallTimeout);
                await session.SendAsync(message, sending.Token);
                queue.Sent();
            }
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            IsStalled = true;
            return $"it read nothing for {stallTimeout.TotalSeconds:0} s";
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            return e is OperationCanceledException ? "stopped" : e.Message;
        }
    }
}
