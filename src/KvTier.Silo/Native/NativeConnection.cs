using System.Buffers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvTier.Client.Connections;
using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Silo.Clustering;
using KvTier.Silo.Regions;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Native;

/// <summary>
/// One native connection. A loop receives requests and answers them in turn; those that must wait for the disk are answered later, out of
/// order, while the loop goes on. It ends when the client does, breaks the protocol, stalls, or the silo stops.
/// </summary>
internal sealed partial class NativeConnection
{
    /// <summary>Most bytes of a Hello's body: nobody who has not shown a token makes the silo keep more.</summary>
    private const int HelloBytesMax = 64 << 10;

    private readonly NativeContext context;
    private readonly NativeConnections connections;
    private readonly BlockEngine engine;
    private readonly SiloCluster? cluster;
    private readonly Limits limits;
    private readonly Socket socket;
    private readonly int number;
    private readonly bool isUnix;
    private readonly long startedAt;
    private readonly NativeOutput output;
    private readonly NativeInput input;
    private readonly LocalLeases local;
    private readonly SemaphoreSlim lateSlots;
    private readonly List<NamespaceDescriptor?> opened = [];
    private byte[] bodyBytes = ArrayPool<byte>.Shared.Rent(4096);
    private bool greeted;
    private bool isPeer;
    private bool clientEnded;
    private volatile bool busy;
    private volatile bool refusing;
    private int aborted;
    private string? endReason;

    /// <summary>Makes a connection of an accepted socket.</summary>
    public NativeConnection(NativeContext context, NativeConnections connections, Socket socket, int number, bool isUnix)
    {
        this.context = context;
        this.connections = connections;
        this.socket = socket;
        this.number = number;
        this.isUnix = isUnix;
        engine = context.Engine;
        cluster = context.Cluster;
        limits = context.Limits;
        startedAt = context.Time.GetTimestamp();
        output = new NativeOutput(socket, context.Time);
        input = new NativeInput(socket, output, context.Time);
        local = new LocalLeases(engine, limits, context.Metrics);
        regions = new RegionTable(context.Metrics.Regions);
        lateSlots = new SemaphoreSlim(limits.InflightRequestsMax, limits.InflightRequestsMax);
    }

    /// <summary>True when no request is being received or answered, or only such as are refused because the silo drains.</summary>
    public bool IsIdle => (refusing || (!busy && !output.HasUnsent)) && lateSlots.CurrentCount == limits.InflightRequestsMax;

    /// <summary>Serves until the connection ends; gives back all that the client held.</summary>
    public async Task RunAsync()
    {
        try
        {
            endReason = await ServeAsync();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            endReason ??= e.Message;
        }
        catch (Exception e)
        {
            context.Logger.ConnectionFailed(e, number);
            endReason = "an unexpected error";
        }

        busy = false;
        await CloseAsync();
        context.Logger.ConnectionEnded(number, endReason);
    }

    /// <summary>Ends the connection now.</summary>
    public void Abort()
    {
        if (Interlocked.Exchange(ref aborted, 1) == 0) socket.Dispose();
    }

    /// <summary>Ends what has run out: leases, and the connection itself when its client has stopped.</summary>
    public void Sweep()
    {
        int revoked = local.Sweep(context.Time.GetTimestamp());
        if (revoked > 0) context.Logger.ReservationsRevoked(number, revoked);
        var stallTimeout = TimeSpan.FromMilliseconds(context.Options.StallTimeoutMs);
        if (output.Stall.IsOver(stallTimeout)) EndStalled("sending", context.Options.StallTimeoutMs);
        else if (input.Stall.IsOver(stallTimeout)) EndStalled("receiving", context.Options.StallTimeoutMs);
        else if (!greeted && context.Time.GetElapsedTime(startedAt) > TimeSpan.FromMilliseconds(context.Options.HelloTimeoutMs))
            EndStalled("hello", context.Options.HelloTimeoutMs);
    }

    private void EndStalled(string side, int timeoutMs)
    {
        if (Volatile.Read(ref aborted) != 0) return;
        context.Metrics.ConnectionStalled();
        context.Logger.ConnectionStalled(number, side, timeoutMs);
        endReason = $"{side} stalled";
        input.Stall.Stop();
        output.Stall.Stop();
        EndForSilo();
    }

    /// <summary>Ends the connection for the silo's own reasons, as far as a client allows that may be writing into the arena.</summary>
    private void EndForSilo()
    {
        if (!local.HoldsWritable)
        {
            Abort();
            return;
        }

        // The client may be stopped in the middle of writing into the arena. Only the sending side ends: the receiving one is how its end
        // is seen.
        try
        {
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Abort();
        }
    }

    private async Task<string> ServeAsync()
    {
        for (uint turn = 1; ; turn++)
        {
            busy = false;
            await EagerSocket.TakeTurnAsync(turn);
            if (!await input.FillAsync(FrameHeader.Magic.Length, midFrame: false)) return EndOfClient();
            busy = true;
            FrameStatus status = FrameHeader.TryParse(input.Buffered, limits, out FrameHeader header);
            if (status == FrameStatus.Incomplete)
            {
                if (!await input.FillAsync(FrameHeader.SizeBytes, midFrame: true)) return EndOfClient();
                status = FrameHeader.TryParse(input.Buffered, limits, out header);
            }

            if (status != FrameStatus.Ok) return await BreakAsync(header, FrameHeader.ErrorOf(status, input.Buffered, limits));
            long receivedAt = context.Time.GetTimestamp();
            input.Advance(FrameHeader.SizeBytes);
            if (!greeted && header.BodyLength > HelloBytesMax)
                return await BreakAsync(header, KvError.LimitExceeded("hello.bodyLength", header.BodyLength, HelloBytesMax));
            if (header.BodyLength > bodyBytes.Length) ResizeBody(header.BodyLength);
            Memory<byte> body = bodyBytes.AsMemory(0, header.BodyLength);
            if (!await input.ReadAsync(body)) return EndOfClient();
            if ((header.CheckBody(body.Span) ?? CheckKind(header)) is { } violation) return await BreakAsync(header, violation);
            if (!greeted)
            {
                if (await GreetAsync(header, body) is { } refusal) return refusal;
            }
            else if (!await HandleAsync(header, body, receivedAt))
            {
                return EndOfClient();
            }

            if (bodyBytes.Length > NativeInput.BufferBytes) ResizeBody(4096);
        }
    }

    private string EndOfClient()
    {
        clientEnded = true;
        return input.Buffered.Length > 0 ? "the client closed in the middle of a frame" : "the client closed";
    }

    private void ResizeBody(int length)
    {
        ArrayPool<byte>.Shared.Return(bodyBytes);
        bodyBytes = ArrayPool<byte>.Shared.Rent(length);
    }

    private static KvError? CheckKind(in FrameHeader header)
    {
        FrameKind expected = header.Opcode.IsNotice() ? FrameKind.Notice : FrameKind.Request;
        if (!header.Opcode.IsKnown() && header.Kind is FrameKind.Request or FrameKind.Notice) return null;
        return header.Kind == expected
            ? null
            : new KvError(ErrorCode.ProtocolViolation, "frame.kind", header.Kind.ToString(), $"{expected} for {header.Opcode}");
    }

    /// <summary>The client broke the protocol: it is told, and the connection ends.</summary>
    private async Task<string> BreakAsync(FrameHeader header, KvError error)
    {
        context.Logger.ProtocolViolation(number, error.Message);
        await SendErrorAsync(header, error);
        await output.FlushAsync();
        if (!local.HoldsWritable) await NativeConnections.FarewellAsync(socket);
        return error.Message;
    }

    /// <summary>Handles the first frame, which must be a Hello.</summary>
    /// <returns>Null when the client is let in, else why not.</returns>
    private async ValueTask<string?> GreetAsync(FrameHeader header, Memory<byte> body)
    {
        KvError? error = header.Opcode == Opcode.Hello && header.PayloadLength == 0
            ? CheckHello(body.Span)
            : new KvError(ErrorCode.Unauthorized, "frame.opcode", header.Opcode.ToString(), "Hello as the first request of a connection");
        if (error is not null)
        {
            context.Logger.HelloRefused(number, error.Message);
            await SendErrorAsync(header, error);
            await output.FlushAsync();
            await NativeConnections.FarewellAsync(socket);
            return error.Message;
        }

        greeted = true;
        await AnswerAsync(header, body, context.Time.GetTimestamp());
        return null;
    }

    /// <summary>Sends an error frame, or nothing for a notice.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendErrorAsync(FrameHeader header, KvError error)
    {
        context.Metrics.ErrorSent(error.Code);
        if (header.Kind == FrameKind.Notice) return;
        await output.AcquireAsync();
        try
        {
            Frame.WriteError(output.Buffer, header.Opcode, header.RequestId, error);
            await output.FlushIfLargeAsync();
        }
        finally
        {
            output.Release();
        }
    }

    private async Task CloseAsync()
    {
        if (!clientEnded && Volatile.Read(ref aborted) == 0 && local.HoldsWritable) await WaitForEndAsync();
        Abort();

        // First, because late answers may wait for the very room that these leases hold. What they are still granted goes back at once.
        local.Close();
        regions.Close();

        // Late answers fail on the closed socket or meet their deadline; each gives back what it holds itself.
        for (int i = 0; i < limits.InflightRequestsMax; i++) await lateSlots.WaitAsync();
        context.Metrics.Transferred(input.BytesReceived - reportedReceived, output.BytesSent - reportedSent);
        output.Dispose();
        ArrayPool<byte>.Shared.Return(bodyBytes);
        bodyBytes = [];
    }

    /// <summary>Waits until the client has really gone, because it may still write into slots it has reserved.</summary>
    private async Task WaitForEndAsync()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
            await input.DrainToEndAsync();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Gone, or ended by the silo's own stop.
        }
    }
}
