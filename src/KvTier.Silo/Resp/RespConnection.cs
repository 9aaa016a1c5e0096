using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvTier.Client.Connections;
using KvTier.Protocol;

namespace KvTier.Silo.Resp;

/// <summary>
/// One client. Commands are read, run and answered in order; what was parsed together is answered with one send. Nothing is read while a
/// reply waits to be sent, so a client that does not read can't make the silo gather replies for it.
/// </summary>
internal sealed class RespConnection : IDisposable
{
    private readonly Socket socket;
    private readonly RespServer server;
    private readonly RespInput input;
    private readonly RespOutput output;
    private readonly RespValues values;
    private readonly RespExecutor executor;
    private readonly RespProgress progress;

    public RespConnection(RespServer server, Socket socket, long id)
    {
        this.server = server;
        this.socket = socket;
        progress = new RespProgress(server.Time);
        bool authRequired = server.Password is not null;
        Session = new RespSession(id, authRequired, server.NowUnixMs)
        {
            RemoteAddress = socket.RemoteEndPoint?.ToString() ?? "",
            LocalAddress = socket.LocalEndPoint?.ToString() ?? "",
        };
        input = new RespInput(server.Limits);
        input.Reader.AuthRequired = authRequired;
        output = new RespOutput(socket, progress);
        values = new RespValues(server.Engine);
        executor = new RespExecutor(server, Session, input, output, values);
    }

    /// <summary>What the client has set.</summary>
    public RespSession Session { get; }

    /// <summary>True when the client has kept the connection waiting for too long.</summary>
    public bool IsStalled => progress.IsStalled(TimeSpan.FromMilliseconds(server.Limits.StallMs));

    /// <summary>Serves the client until it leaves, breaks the protocol, or the socket is closed from outside.</summary>
    public async Task RunAsync()
    {
        try
        {
            for (uint turn = 1; await RunBatchAsync(); turn++)
            {
                await EagerSocket.TakeTurnAsync(turn);
                await output.FlushAsync();
                if (Session.Closing || !await ReceiveAsync()) break;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The peer is gone, or the sweep or a stop has closed the socket: nobody is there to be told.
        }
        finally
        {
            values.Clear();
        }
    }

    /// <summary>Ends every wait on the socket; <see cref="RunAsync"/> then returns.</summary>
    public void Abort() => socket.Dispose();

    /// <summary>Takes no more commands; those that have come are answered.</summary>
    public void StopReading()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Receive);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }
    }

    public void Dispose()
    {
        socket.Dispose();
        input.Dispose();
        output.Dispose();
    }

    /// <summary>Runs every command that has come whole.</summary>
    /// <returns>False when the connection ends.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> RunBatchAsync()
    {
        long commands = 0;
        while (!Session.Closing)
        {
            RespParse found = input.Parse();
            if (found == RespParse.Incomplete) break;
            if (found == RespParse.LongBulk)
            {
                if (!await ReceiveLongBulkAsync()) return false;
                continue;
            }

            if (found == RespParse.Malformed)
            {
                WriteProtocolError();
                break;
            }

            commands++;
            await executor.ExecuteAsync();
            values.Clear();
            executor.EndCommand();
            input.EndCommand();
            if (output.IsFull) await output.FlushAsync();
        }

        if (commands == 0) return true;
        Session.LastCommandUnixMs = server.NowUnixMs;
        server.Counters.AddCommands(commands);
        return true;
    }

    private void WriteProtocolError()
    {
        using var text = new FrameBuffer(128);
        new RespWriter(text).WriteProtocolError(input.Reader);
        output.Raw(text.WrittenSpan);
        Session.Closing = true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReceiveAsync()
    {
        if (!input.TryGetRoom(out Memory<byte> room))
        {
            output.Error("ERR " + KvError.LimitExceeded("command bytes", input.Buffered, server.Limits.QueryBytesMax).Message);
            await output.FlushAsync();
            return false;
        }

        // Between commands a client may be silent for as long as it likes; inside one it may not.
        if (input.InCommand) progress.Begin();
        int count = await EagerSocket.ReceiveAsync(socket, room);
        progress.End();
        if (count == 0) return false;
        input.Received(count);
        return true;
    }

    /// <summary>Receives a long value straight into a slot of the arena, or reads and drops what can't be kept.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReceiveLongBulkAsync()
    {
        // What is answered already must not wait for a value that may take long to come.
        await output.FlushAsync();
        int length = input.LongBulkBytes;
        RespPlace place = await executor.ReserveAsync(input.Count, length);
        if (place != RespPlace.Slot)
        {
            if (!await DropAsync(length)) return false;
            input.AddLongBulk(place, -1);
            return true;
        }

        int index = values.Last;
        Memory<byte> slot = server.Engine.Arena.Slice(values[index].Reservation.Offset, length);
        ReadOnlyMemory<byte> head = input.TakeBuffered();
        head.CopyTo(slot);
        int filled = head.Length;
        uint crc = Crc32C.Compute(head.Span);
        while (filled < length)
        {
            progress.Begin();
            int count = await EagerSocket.ReceiveAsync(socket, slot[filled..]);
            progress.End();
            if (count == 0) return false;

            // Each piece is in the cache still.
            crc = Crc32C.Append(crc, slot.Span.Slice(filled, count));
            filled += count;
        }

        values.SetCrc(index, crc);
        input.AddLongBulk(RespPlace.Slot, index);
        return true;
    }

    private async ValueTask<bool> DropAsync(int length)
    {
        int left = length - input.TakeBuffered().Length;
        while (left > 0)
        {
            if (!input.TryGetRoom(out Memory<byte> room)) return false;
            progress.Begin();
            int count = await EagerSocket.ReceiveAsync(socket, room[..Math.Min(room.Length, left)]);
            progress.End();
            if (count == 0) return false;
            left -= count;
        }

        return true;
    }
}
