using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvTier.Client.Requests;

namespace KvTier.Client.Connections;

internal sealed partial class Connection
{
    /// <summary>Frames and payloads up to this size are copied together, because one system call costs more than copying them.</summary>
    private const int GatherBytesMax = 32 * 1024;

    /// <summary>Bytes of a large block that go out together with what stands before it.</summary>
    private const int GatherHeadBytes = 16 * 1024;

    /// <summary>Sends what local leases have given back; without a request this is done by a timer.</summary>
    public async Task FlushAsync()
    {
        await sendLock.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!IsOpen) return;
            outbox.Clear();
            Local?.WriteNotices(outbox);
            if (outbox.WrittenCount > 0) await SendAllAsync(outbox.WrittenMemory).ConfigureAwait(false);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            Abort(Lost(error));
        }
        finally
        {
            sendLock.Release();
        }
    }

    private static KvError Lost(Exception error) => new(ErrorCode.Unavailable, "connection", error.Message, "an open connection");

    /// <summary>Sends a request's frame and leaves the send lock, which the caller has entered. Failures end the connection, which
    /// completes the request.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAsync(Request request)
    {
        try
        {
            if (!IsOpen) return;
            outbox.Clear();
            Local?.WriteNotices(outbox);
            Gather(request.Buffer.WrittenMemory.Span);
            metrics.RequestSent(request.Buffer.WrittenCount + request.PayloadLength);
            for (int i = 0; i < request.PayloadCount; i++)
            {
                ReadOnlyMemory<byte> payload = request.Payload(i);
                if (payload.Length <= GatherBytesMax - outbox.WrittenCount)
                {
                    Gather(payload.Span);
                    continue;
                }

                if (outbox.WrittenCount > 0)
                {
                    // The silo wakes up to data and not to a header only.
                    int head = Math.Min(GatherHeadBytes, payload.Length);
                    Gather(payload.Span[..head]);
                    payload = payload[head..];
                    await SendAllAsync(outbox.WrittenMemory).ConfigureAwait(false);
                    outbox.Clear();
                }

                await SendAllAsync(payload).ConfigureAwait(false);
            }

            if (outbox.WrittenCount > 0) await SendAllAsync(outbox.WrittenMemory).ConfigureAwait(false);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            Abort(Lost(error));
        }
        finally
        {
            sendLock.Release();
        }
    }

    private void Gather(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(outbox.GetSpan(bytes.Length));
        outbox.Advance(bytes.Length);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int sent = await EagerSocket.SendAsync(socket, bytes).ConfigureAwait(false);
            bytes = bytes[sent..];
        }
    }
}
