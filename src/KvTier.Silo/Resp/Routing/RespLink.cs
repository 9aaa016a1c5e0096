using System.Globalization;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using KvTier.Client.Connections;

namespace KvTier.Silo.Resp.Routing;

/// <summary>
/// One connection to the RESP2 listener of another silo, on which one command at a time is on its way. After any failure it is of no use
/// any more.
/// </summary>
internal sealed class RespLink : IDisposable
{
    /// <summary>Longest first line of a reply, and most bytes of a value that are on their way through at a time.</summary>
    private const int BufferBytes = 64 << 10;

    private readonly Socket socket;
    private readonly byte[] buffer = new byte[BufferBytes];
    private readonly CancellationTokenSource ending;
    private readonly CancellationTokenRegistration closing;
    private int start;
    private int end;

    /// <summary>Takes a connection over.</summary>
    public RespLink(Socket socket, TimeProvider time)
    {
        this.socket = socket;
        ending = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        closing = ending.Token.UnsafeRegister(static state => ((Socket)state!).Dispose(), socket);
    }

    /// <summary>The command on its way.</summary>
    public RespRequest Request { get; } = new();

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
    public bool IsBusy { get; private set; }

    /// <summary>A command begins: when the time has passed the connection closes, and whoever waits for it fails.</summary>
    public void Begin(TimeSpan deadline)
    {
        IsBusy = true;
        ending.CancelAfter(deadline > TimeSpan.Zero ? deadline : TimeSpan.Zero);
    }

    /// <summary>Its reply has been read to the end.</summary>
    public void End()
    {
        ending.CancelAfter(Timeout.InfiniteTimeSpan);
        IsBusy = false;
    }

    /// <summary>Sends bytes.</summary>
    /// <exception cref="SocketException">The connection has failed.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await EagerSocket.SendAsync(socket, bytes)..];
    }

    /// <summary>Reads the first line of a reply, or of an element of one.</summary>
    /// <exception cref="SocketException">The connection has failed, or what comes is no reply.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<RespReplyHead> ReadHeadAsync()
    {
        int at;
        while ((at = buffer.AsSpan(start, end - start).IndexOf("\r\n"u8)) < 0) await ReceiveAsync();
        if (at == 0) throw new SocketException((int)SocketError.ProtocolNotSupported);
        RespReplyHead head = HeadOf(buffer.AsSpan(start, at));
        start += at + 2;
        return head;
    }

    /// <summary>Passes a reply on as it comes.</summary>
    /// <param name="head">Its first line, read already.</param>
    /// <param name="output">Where to.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask CopyAsync(RespReplyHead head, RespOutput output)
    {
        switch (head.Kind)
        {
            case ':':
                output.Integer(head.Number);
                return;
            case '$':
                output.BulkHead(head.Number);
                if (head.Number >= 0) await CopyBulkAsync(head.Number + 2, output);
                return;
            case not '*':
                output.Raw(head.Line);
                return;
        }

        output.ArrayHead(head.Number);
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
        closing.Dispose();
        ending.Dispose();
        socket.Dispose();
        Request.Dispose();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CopyBulkAsync(long left, RespOutput output)
    {
        while (left > 0)
        {
            if (start == end) await ReceiveAsync();
            int taken = (int)Math.Min(left, end - start);
            if (taken <= RespLimits.CopyBytesMax) output.Raw(buffer.AsSpan(start, taken));
            else await output.PassAsync(buffer.AsMemory(start, taken));
            start += taken;
            left -= taken;
            if (output.IsFull) await output.FlushAsync();
        }
    }

    private static RespReplyHead HeadOf(ReadOnlySpan<byte> line)
    {
        char kind = (char)line[0];
        if (kind is not (':' or '$' or '*')) return new RespReplyHead(kind, Encoding.Latin1.GetString(line[1..]), 0);
        return long.TryParse(line[1..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
            ? new RespReplyHead(kind, "", number)
            : throw new SocketException((int)SocketError.ProtocolNotSupported);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
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
