using System.Globalization;
using System.Net.Sockets;
using System.Text;
using KvTier.Client.Connections;

namespace KvTier.Silo.Resp.Routing;

/// <summary>
/// One connection to the RESP2 listener of another silo, on which one command at a time is on its way. After any failure it is of no use
/// any more.
/// </summary>
internal sealed class RespLink(Socket socket, TimeProvider time) : IDisposable
{
    /// <summary>Longest first line of a reply.</summary>
    private const int LineBytesMax = 64 << 10;

    private readonly byte[] buffer = new byte[LineBytesMax];
    private int start;
    private int end;
    private CancellationTokenSource? ending;
    private CancellationTokenRegistration closing;

    /// <summary>True when an idle connection is still there: nothing was received on it, and it was not closed.</summary>
    public bool IsFresh
    {
        get
        {
            try
            {
                return start == end && !socket.Poll(TimeSpan.Zero, SelectMode.SelectRead);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    /// <summary>True from <see cref="Begin"/> until <see cref="End"/>: what is left of a command makes the connection useless.</summary>
    public bool IsBusy => ending is not null;

    /// <summary>A command begins: when the time has passed the connection closes, and whoever waits for it fails.</summary>
    public void Begin(TimeSpan deadline)
    {
        ending = new CancellationTokenSource(deadline > TimeSpan.Zero ? deadline : TimeSpan.Zero, time);
        closing = ending.Token.UnsafeRegister(static state => ((Socket)state!).Dispose(), socket);
    }

    /// <summary>Its reply has been read to the end.</summary>
    public void End()
    {
        closing.Dispose();
        ending?.Dispose();
        ending = null;
    }

    /// <summary>Sends bytes.</summary>
    /// <exception cref="SocketException">The connection has failed.</exception>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await EagerSocket.SendAsync(socket, bytes)..];
    }

    /// <summary>Reads the first line of a reply, or of an element of one.</summary>
    /// <exception cref="SocketException">The connection has failed, or what comes is no reply.</exception>
    public async ValueTask<RespReplyHead> ReadHeadAsync()
    {
        int at;
        while ((at = buffer.AsSpan(start, end - start).IndexOf("\r\n"u8)) < 0) await ReceiveAsync();
        if (at == 0) throw new SocketException((int)SocketError.ProtocolNotSupported);
        char kind = (char)buffer[start];
        string text = Encoding.Latin1.GetString(buffer, start + 1, at - 1);
        start += at + 2;
        long number = 0;
        if (kind is ':' or '$' or '*' && !long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number))
            throw new SocketException((int)SocketError.ProtocolNotSupported);
        return new RespReplyHead(kind, text, number);
    }

    /// <summary>Passes a reply on as it comes.</summary>
    /// <param name="head">Its first line, read already.</param>
    /// <param name="output">Where to.</param>
    public async ValueTask CopyAsync(RespReplyHead head, RespOutput output)
    {
        output.Raw(head.Line);
        if (head.Kind == '$' && head.Number >= 0) await CopyBulkAsync(head.Number + 2, output);
        if (head.Kind != '*') return;
        for (long i = 0; i < head.Number; i++) await CopyAsync(await ReadHeadAsync(), output);
    }

    /// <summary>Reads a bulk whose first line was read.</summary>
    public async ValueTask<byte[]> ReadBulkAsync(RespReplyHead head)
    {
        var bytes = new byte[head.Number];
        int filled = 0;
        while (filled < bytes.Length)
        {
            if (start == end) await ReceiveAsync();
            int taken = Math.Min(bytes.Length - filled, end - start);
            buffer.AsSpan(start, taken).CopyTo(bytes.AsSpan(filled));
            start += taken;
            filled += taken;
        }

        while (end - start < 2) await ReceiveAsync();
        start += 2;
        return bytes;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        End();
        socket.Dispose();
    }

    private async ValueTask CopyBulkAsync(long left, RespOutput output)
    {
        while (left > 0)
        {
            if (start == end) await ReceiveAsync();
            int taken = (int)Math.Min(left, end - start);
            output.Raw(buffer.AsSpan(start, taken));
            start += taken;
            left -= taken;
            if (output.IsFull) await output.FlushAsync();
        }
    }

    private async ValueTask ReceiveAsync()
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            end -= start;
            start = 0;
        }

        if (end == buffer.Length) throw new SocketException((int)SocketError.MessageSize);
        int received = await EagerSocket.ReceiveAsync(socket, buffer.AsMemory(end));
        if (received == 0) throw new SocketException((int)SocketError.ConnectionReset);
        end += received;
    }
}
