using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvTier.Client.Connections;

namespace KvTier.Silo.Native;

/// <summary>
/// The receiving side of a connection: a fixed buffer for headers, bodies and small blocks, and receives past it, straight into an arena
/// slot, for large ones. Used by the connection's receive loop only.
/// </summary>
internal sealed class NativeInput
{
    /// <summary>Bytes of the buffer. A Hello or a request without payload fits many times.</summary>
    public const int BufferBytes = 64 << 10;

    /// <summary>From this many missing bytes on, a receive goes past the buffer.</summary>
    private const int DirectBytesMin = 16 << 10;

    /// <summary>Most bytes of one direct receive: they are still in the cache when their CRC is computed.</summary>
    private const int DirectBytesMax = 256 << 10;

    private readonly byte[] buffer = GC.AllocateUninitializedArray<byte>(BufferBytes, pinned: true);
    private readonly Socket socket;
    private readonly NativeOutput output;
    private int start;
    private int end;

    /// <summary>Makes the receiving side.</summary>
    /// <param name="socket">The connection.</param>
    /// <param name="output">Its sending side; what waits there is sent before a receive waits.</param>
    /// <param name="time">Clock for the stall timer.</param>
    public NativeInput(Socket socket, NativeOutput output, TimeProvider time)
    {
        this.socket = socket;
        this.output = output;
        Stall = new StallClock(time);
    }

    /// <summary>Runs while the client owes the rest of a frame.</summary>
    public StallClock Stall { get; }

    /// <summary>Bytes received on this connection.</summary>
    public long BytesReceived { get; private set; }

    /// <summary>What is in the buffer and was not taken yet.</summary>
    public ReadOnlySpan<byte> Buffered => buffer.AsSpan(start, end - start);

    /// <summary>Takes bytes out of the buffer.</summary>
    public void Advance(int count) => start += count;

    /// <summary>Receives until the buffer holds some bytes.</summary>
    /// <param name="count">How many, at most <see cref="BufferBytes"/>.</param>
    /// <param name="midFrame">True when the client owes them: then the stall timer runs.</param>
    /// <returns>False when the client closed its side first.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> FillAsync(int count, bool midFrame)
    {
        if (end - start >= count) return true;
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            end -= start;
            start = 0;
        }

        while (end < count)
        {
            int received = await ReceiveAsync(buffer.AsMemory(end), midFrame || end > 0);
            if (received == 0) return false;
            end += received;
        }

        return true;
    }

    /// <summary>Receives exactly as many bytes as the destination has.</summary>
    /// <returns>False when the client closed its side first.</returns>
    public async ValueTask<bool> ReadAsync(Memory<byte> destination)
    {
        while (destination.Length > 0)
        {
            int taken = await ReadSomeAsync(destination);
            if (taken == 0) return false;
            destination = destination[taken..];
        }

        return true;
    }

    /// <summary>Receives into a slot and computes the CRC32C of the bytes while they are in the cache.</summary>
    /// <returns>The CRC; null when the client closed its side first.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<uint?> ReadBlockAsync(Memory<byte> destination)
    {
        uint crc = 0;
        while (destination.Length > 0)
        {
            int taken = await ReadSomeAsync(destination);
            if (taken == 0) return null;
            crc = Crc32C.Append(crc, destination.Span[..taken]);
            destination = destination[taken..];
        }

        return crc;
    }

    /// <summary>Receives bytes and forgets them.</summary>
    /// <returns>False when the client closed its side first.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> SkipAsync(long count)
    {
        while (count > 0)
        {
            if (end == start && !await FillAsync(1, midFrame: true)) return false;
            int skipped = (int)Math.Min(count, end - start);
            start += skipped;
            count -= skipped;
        }

        return true;
    }

    /// <summary>Receives and forgets until the client closes its side.</summary>
    public async Task DrainToEndAsync()
    {
        while (await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None) > 0)
        {
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadSomeAsync(Memory<byte> destination)
    {
        if (end == start)
        {
            if (destination.Length >= DirectBytesMin) return await ReceiveAsync(
                destination[..Math.Min(destination.Length, DirectBytesMax)], midFrame: true);
            if (!await FillAsync(1, midFrame: true)) return 0;
        }

        int taken = Math.Min(destination.Length, end - start);
        buffer.AsSpan(start, taken).CopyTo(destination.Span);
        start += taken;
        return taken;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReceiveAsync(Memory<byte> destination, bool midFrame)
    {
        if (output.HasUnsent) await output.FlushAsync();
        if (midFrame) Stall.Start();
        int received = await EagerSocket.ReceiveAsync(socket, destination);
        Stall.Stop();
        BytesReceived += received;
        return received;
    }
}
