using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvTier.Client.Connections;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <summary>
/// The sending side of a connection. Responses are encoded into one buffer and sent when it is full, when the receive loop would wait, or
/// when a late response ends; large blocks go out straight from the arena. One response at a time, under <see cref="AcquireAsync"/>.
/// </summary>
internal sealed class NativeOutput : IDisposable
{
    /// <summary>The buffer is sent when it has grown to this.</summary>
    private const int FlushBytes = 64 << 10;

    /// <summary>Blocks up to this size are copied into the buffer: a copy costs less than a send of its own.</summary>
    private const int CopyBytesMax = 16 << 10;

    /// <summary>
    /// Bytes of a large block that go out together with what is in the buffer, so that the client wakes up to data and not to a header.
    /// </summary>
    private const int HeadBytes = 16 << 10;

    /// <summary>Most bytes of one send, the unit that must get through within the stall timeout.</summary>
    private const int SendBytesMax = 4 << 20;

    private readonly Socket socket;
    private readonly SemaphoreSlim turn = new(1, 1);

    /// <summary>Makes the sending side.</summary>
    public NativeOutput(Socket socket, TimeProvider time)
    {
        this.socket = socket;
        Stall = new StallClock(time);
    }

    /// <summary>Runs while a send waits for the client to read.</summary>
    public StallClock Stall { get; }

    /// <summary>Bytes sent on this connection.</summary>
    public long BytesSent { get; private set; }

    /// <summary>Where responses are encoded, by whoever has the turn.</summary>
    public FrameBuffer Buffer { get; } = new(4096);

    /// <summary>True when something waits in the buffer. Exact for the receive loop's own responses, a hint for others.</summary>
    public bool HasUnsent => Buffer.WrittenCount > 0;

    /// <summary>Waits for the turn to write a response.</summary>
    public Task AcquireAsync() => turn.WaitAsync();

    /// <summary>Gives the turn back.</summary>
    public void Release() => turn.Release();

    /// <summary>Sends what is in the buffer; takes the turn itself.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushAsync()
    {
        await turn.WaitAsync();
        try
        {
            await FlushHeldAsync();
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Sends what is in the buffer; the caller has the turn.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushHeldAsync()
    {
        if (Buffer.WrittenCount == 0) return;
        await SendAsync(Buffer.WrittenMemory);
        Buffer.Clear();
    }

    /// <summary>Sends the buffer if it has grown large; the caller has the turn.</summary>
    public ValueTask FlushIfLargeAsync() => Buffer.WrittenCount >= FlushBytes ? FlushHeldAsync() : ValueTask.CompletedTask;

    /// <summary>
    /// Sends a block's bytes after what is in the buffer; the caller has the turn and holds a lease until this completes.
    /// </summary>
    /// <remarks>A block that was copied may still be in the buffer afterwards; its lease may end all the same.</remarks>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendBlockAsync(ReadOnlyMemory<byte> block)
    {
        if (block.Length <= CopyBytesMax)
        {
            Append(block.Span);
            await FlushIfLargeAsync();
            return;
        }

        if (HasUnsent)
        {
            Append(block.Span[..HeadBytes]);
            block = block[HeadBytes..];
            await FlushHeldAsync();
        }

        await SendAsync(block);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Buffer.Dispose();
        turn.Dispose();
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Buffer.GetSpan(bytes.Length));
        Buffer.Advance(bytes.Length);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            Stall.Start();
            int sent = await EagerSocket.SendAsync(socket, bytes[..Math.Min(bytes.Length, SendBytesMax)]);
            Stall.Stop();
            BytesSent += sent;
            bytes = bytes[sent..];
        }
    }
}
