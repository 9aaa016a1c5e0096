using System.Buffers.Binary;
using System.Net.Sockets;
using KvTier.Protocol.Zmtp;

namespace KvTier.Silo.Events;

/// <summary>One who asks for batches it missed.</summary>
/// <param name="session">Its connection, greeted.</param>
/// <param name="ring">The batches.</param>
/// <param name="withTopic">True when answers name the topic.</param>
/// <param name="stallTimeout">Longest that one send may take.</param>
internal sealed class ReplayClient(ZmtpSession session, EventRing ring, bool withTopic, TimeSpan stallTimeout)
{
    /// <summary>Most frames of a request.</summary>
    private const int PartsMax = 4;

    private static readonly byte[] end = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

    /// <summary>Called for each replay that was answered.</summary>
    public Action? OnReplay { get; init; }

    /// <summary>Called for each request that could not be read, with the reason.</summary>
    public Action<string>? OnRefused { get; init; }

    /// <summary>Serves until the peer closes, breaks the protocol, or stalls.</summary>
    /// <returns>Why it ended.</returns>
    public async Task<string> RunAsync(CancellationToken stop)
    {
        var parts = new List<byte[]>();
        try
        {
            while (await session.ReadAsync(stop) is { } flags)
            {
                if ((flags & ZmtpFlags.Command) != ZmtpFlags.None)
                {
                    await AnswerCommandAsync(stop);
                    continue;
                }

                if (parts.Count == PartsMax) return $"a request of more than {PartsMax} frames";
                parts.Add(session.Body.ToArray());
                if ((flags & ZmtpFlags.More) != ZmtpFlags.None) continue;
                await AnswerAsync(parts, stop);
                parts.Clear();
            }

            return session.Violation ?? "closed";
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return $"it read nothing for {stallTimeout.TotalSeconds:0} s";
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            return e is OperationCanceledException ? "stopped" : e.Message;
        }
    }

    private async ValueTask AnswerCommandAsync(CancellationToken stop)
    {
        byte[]? answer = null;
        if (ZmtpCommand.TryRead(session.Body.Span, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> data))
            answer = ZmtpSession.AnswerOf(name, data);
        if (answer is not null) await SendAsync(answer, stop);
    }

    // A request is an empty frame, the number to start from, and, if wanted, how the topics begin. Who sends no empty frame gets none.
    private async ValueTask AnswerAsync(List<byte[]> parts, CancellationToken stop)
    {
        bool delimited = parts[0].Length == 0;
        List<byte[]> rest = delimited ? parts[1..] : parts;
        if (rest.Count is 0 or > 2 || rest[0].Length != sizeof(long))
        {
            OnRefused?.Invoke($"{parts.Count} frames of {string.Join(", ", parts.Select(part => part.Length))} bytes, wanted are an empty "
                + "one, one of 8 bytes, and perhaps a topic");
            return;
        }

        long start = BinaryPrimitives.ReadInt64BigEndian(rest[0]);
        byte[] prefix = rest.Count > 1 ? rest[1] : [];
        OnReplay?.Invoke();
        foreach (PublishedBatch batch in ring.From(start, prefix))
        {
            await SendAsync(delimited, batch.Topic, batch.Sequence, batch.Payload, stop);

            // A REQ takes one answer; a second one could be taken for that to its next request.
            if (session.PeerType == "REQ") return;
        }

        await SendAsync(delimited, [], end, [], stop);
    }

    private ValueTask SendAsync(bool delimited, byte[] topic, byte[] sequence, byte[] payload, CancellationToken stop)
    {
        var parts = new List<byte[]>(4);
        if (delimited) parts.Add([]);
        if (withTopic) parts.Add(topic);
        parts.Add(sequence);
        parts.Add(payload);
        return SendAsync(ZmtpFrame.Message([.. parts]), stop);
    }

    private async ValueTask SendAsync(byte[] bytes, CancellationToken stop)
    {
        using var sending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        sending.CancelAfter(stallTimeout);
        await session.SendAsync(bytes, sending.Token);
    }
}
