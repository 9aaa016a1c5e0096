using System.Buffers;
using System.Buffers.Text;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using KvTier.Client.Connections;

namespace KvTier.Silo.Resp;

/// <summary>The replies of a connection: gathered in a buffer, sent once for all commands that were parsed together.</summary>
internal sealed class RespOutput(Socket socket, RespProgress progress) : IDisposable
{
    /// <summary>Most bytes of one send, the unit that must get through within the stall timeout.</summary>
    private const int SendBytesMax = 4 << 20;

    private long sends;
    private byte[] buffer = ArrayPool<byte>.Shared.Rent(RespLimits.FlushBytes + RespLimits.CopyBytesMax + 1024);

    /// <summary>True while the client has switched replies off: everything written is forgotten.</summary>
    public bool Muted { get; set; }

    /// <summary>Bytes that wait to be sent.</summary>
    public int Length { get; private set; }

    /// <summary>True when so much waits that it should be sent before more is written.</summary>
    public bool IsFull => Length >= RespLimits.FlushBytes;

    /// <summary>Where the reply of a command begins: it can be taken back as long as nothing of it was sent.</summary>
    public (long Sends, int Length) Mark => (sends, Length);

    /// <summary>Takes back what was written since a mark.</summary>
    /// <returns>False when something was sent since.</returns>
    public bool TryTakeBack((long Sends, int Length) mark)
    {
        if (sends != mark.Sends) return false;
        Length = mark.Length;
        return true;
    }

    /// <summary>Writes bytes as they are.</summary>
    public void Raw(ReadOnlySpan<byte> bytes)
    {
        if (Muted) return;
        bytes.CopyTo(Room(bytes.Length));
        Length += bytes.Length;
    }

    /// <summary>Writes text in Latin-1, so that bytes of arguments that were read as such come out unchanged.</summary>
    public void Raw(string text)
    {
        if (Muted) return;
        Length += Encoding.Latin1.GetBytes(text, Room(text.Length));
    }

    public void Ok() => Raw("+OK\r\n"u8);

    public void Null() => Raw("$-1\r\n"u8);

    public void SyntaxError() => Raw("-ERR syntax error\r\n"u8);

    public void NotAnInteger() => Raw("-ERR value is not an integer or out of range\r\n"u8);

    /// <summary>An error; the text begins with its code, such as ERR.</summary>
    public void Error(string text)
    {
        Raw("-"u8);
        Raw(text);
        Raw("\r\n"u8);
    }

    public void Integer(long value) => Number((byte)':', value);

    public void Simple(long number) => Number((byte)'+', number);

    public void ArrayHead(long count) => Number((byte)'*', count);

    public void BulkHead(long length) => Number((byte)'$', length);

    public void Bulk(ReadOnlySpan<byte> bytes)
    {
        BulkHead(bytes.Length);
        Raw(bytes);
        Raw("\r\n"u8);
    }

    public void Bulk(string text)
    {
        BulkHead(text.Length);
        Raw(text);
        Raw("\r\n"u8);
    }

    public void Simple(string text)
    {
        Raw("+"u8);
        Raw(text);
        Raw("\r\n"u8);
    }

    /// <summary>Sends what waits.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushAsync()
    {
        if (Length == 0) return;
        sends++;
        await SendAllAsync(buffer.AsMemory(0, Length));
        progress.End();
        Length = 0;
        Trim();
    }

    /// <summary>Sends what waits, then a value from the arena and its line end, with no copy of the value.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendValueAsync(Memory<byte> value)
    {
        sends++;
        long sent = NativeSend.TrySend(socket, buffer.AsSpan(0, Length), value.Span, "\r\n"u8);
        if (sent < Length)
        {
            await SendAllAsync(buffer.AsMemory((int)sent, Length - (int)sent));
            sent = Length;
        }

        int valueSent = (int)Math.Min(sent - Length, value.Length);
        int lineEndSent = (int)(sent - Length - valueSent);
        await SendAllAsync(value[valueSent..]);
        progress.End();
        Length = 0;

        // The line end goes with whatever comes next, or with the flush at the end of the batch.
        if (lineEndSent < 2) Raw("\r\n"u8[lineEndSent..]);
    }

    /// <summary>Sends what waits, then bytes that somebody else's buffer has, with no copy of them.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask PassAsync(ReadOnlyMemory<byte> bytes)
    {
        if (Muted) return;
        sends++;
        int sent = (int)NativeSend.TrySend(socket, buffer.AsSpan(0, Length), bytes.Span, default);
        if (sent < Length)
        {
            await SendAllAsync(buffer.AsMemory(sent, Length - sent));
            sent = Length;
        }

        await SendAllAsync(bytes[(sent - Length)..]);
        progress.End();
        Length = 0;
    }

    /// <summary>Sends all of some bytes. In pieces, so that a client that reads slowly but steadily is seen to make progress; a send may
    /// take fewer bytes than it was given.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            progress.Begin();
            int sent = await EagerSocket.SendAsync(socket, bytes[..Math.Min(bytes.Length, SendBytesMax)]);
            bytes = bytes[sent..];
        }
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
    }

    private void Number(byte kind, long value)
    {
        if (Muted) return;
        Span<byte> room = Room(24);
        room[0] = kind;
        Utf8Formatter.TryFormat(value, room[1..], out int written);
        room[++written] = (byte)'\r';
        room[++written] = (byte)'\n';
        Length += written + 1;
    }

    private Span<byte> Room(int bytes)
    {
        if (buffer.Length - Length < bytes)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(2 * buffer.Length, Length + bytes));
            buffer.AsSpan(0, Length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = larger;
        }

        return buffer.AsSpan(Length);
    }

    private void Trim()
    {
        if (buffer.Length <= 4 * RespLimits.FlushBytes) return;
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = ArrayPool<byte>.Shared.Rent(RespLimits.FlushBytes + RespLimits.CopyBytesMax + 1024);
    }
}
