using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvTier.Client.Local;
using KvTier.Client.Metrics;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client.Connections;

/// <summary>
/// One connection to a silo that the requests of many callers share. Ends once, for good: by a lost socket, a broken protocol, a deadline
/// that passes inside a frame, or disposal.
/// </summary>
internal sealed partial class Connection : IAsyncDisposable
{
    /// <summary>Answers in a row that may be overdue, with nothing at all received meanwhile, before the silo counts as gone.</summary>
    private const int SilentTimeoutsMax = 3;

    private readonly Socket socket;
    private readonly TimeProvider time;
    private readonly ClientMetrics metrics;
    private readonly PendingTable pending;
    private readonly SemaphoreSlim permits;
    private readonly SemaphoreSlim sendLock = new(1);
    private readonly FrameBuffer outbox = new(4096);
    private readonly Lock gate = new();
    private readonly Dictionary<int, ushort> handles = [];
    private readonly int capacity;
    private KvError? fault;
    private int silentTimeouts;
    private Task receiving = Task.CompletedTask;

    public Connection(Socket socket, int inflightMax, TimeProvider time, ClientMetrics metrics)
    {
        this.socket = socket;
        this.time = time;
        this.metrics = metrics;
        capacity = inflightMax;
        pending = new PendingTable(inflightMax);
        permits = new SemaphoreSlim(inflightMax);
    }

    /// <summary>What the silo said of itself; set by the handshake.</summary>
    public SiloInfo? Silo { get; set; }

    /// <summary>Limits for frames, keys and blocks.</summary>
    public Limits Limits { get; set; } = Limits.Default;

    /// <summary>The mapped arena; null when the local path is not taken.</summary>
    public LocalSession? Local { get; set; }

    /// <summary>Requests in flight.</summary>
    public int Inflight => pending.Count;

    /// <summary>False once the connection has ended.</summary>
    public bool IsOpen => Volatile.Read(ref fault) is null;

    /// <summary>Starts the receive loop.</summary>
    public void Start() => receiving = ConnectionThread.Run(ReceiveAsync, "kvtier receive");

    /// <summary>The handle of a namespace on this connection.</summary>
    public bool TryGetHandle(KvNamespace ns, out ushort handle)
    {
        lock (gate) return handles.TryGetValue(ns.Index, out handle);
    }

    public void SetHandle(KvNamespace ns, ushort handle)
    {
        lock (gate) handles[ns.Index] = handle;
    }

    public void ForgetHandle(KvNamespace ns)
    {
        lock (gate) handles.Remove(ns.Index);
    }

    /// <summary>Ends the connection; what waits on it is completed by the receive loop.</summary>
    public void Abort(KvError reason)
    {
        if (Interlocked.CompareExchange(ref fault, reason, null) is not null) return;
        Local?.Close();
        socket.Dispose();
    }

    /// <summary>Nobody waits for a request any more: its late answer will be thrown away.</summary>
    /// <param name="id">The request's id.</param>
    /// <param name="overdue">True when its deadline has passed; false when its caller left.</param>
    public void Abandon(ulong id, bool overdue)
    {
        pending.Abandon(id);
        if (!overdue || Interlocked.Increment(ref silentTimeouts) < SilentTimeoutsMax) return;
        Abort(new KvError(ErrorCode.Unavailable, "connection", "silent", $"an answer to one of {SilentTimeoutsMax} requests in a row"));
    }

    /// <summary>Sends a request and waits for its answer.</summary>
    /// <returns>Null when the answer has been read; the silo's error; or why there is no answer.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<KvError?> RoundTripAsync(Request request, ushort handle, CancellationToken cancellationToken)
    {
        if (await EnterAsync(permits, request.Deadline, cancellationToken).ConfigureAwait(false) is { } crowded) return crowded;
        ulong id = pending.Reserve();
        if (id == 0)
        {
            permits.Release();
            return AsUnavailable(Volatile.Read(ref fault)!);
        }

        if (Encode(request, handle, id) is { } tooLong)
        {
            Forget(id);
            return tooLong;
        }

        if (await EnterAsync(sendLock, request.Deadline, cancellationToken).ConfigureAwait(false) is { } late)
        {
            Forget(id);
            return late;
        }

        ValueTask<KvError?> answer = request.Begin(this, id, time);
        if (pending.TrySet(id, request))
        {
            CancellationTokenRegistration registration = cancellationToken
                .UnsafeRegister(static state => ((Request)state!).Cancel(), request);
            await SendAsync(request).ConfigureAwait(false);
            request.EndSend();
            if (request.IsBrief) EagerSocket.LookUntil(request, static request => request.IsAnswered);
            KvError? error = await answer.ConfigureAwait(false);
            await registration.DisposeAsync().ConfigureAwait(false);
            return error;
        }

        sendLock.Release();
        request.Fail(id, AsUnavailable(Volatile.Read(ref fault)!));
        return await answer.ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Abort(new KvError(ErrorCode.Unavailable, "client", "disposed", "an open client"));
        await receiving.ConfigureAwait(false);
    }

    /// <summary>An error that says that the connection, not the request, is at fault.</summary>
    private static KvError AsUnavailable(KvError reason) =>
        reason.Code is ErrorCode.Unavailable or ErrorCode.ProtocolViolation or ErrorCode.VersionMismatch
            ? reason
            : new KvError(ErrorCode.Unavailable, "connection", $"closed ({reason.Message})", "an open connection");

    private void Forget(ulong id)
    {
        if (pending.Remove(id)) permits.Release();
    }

    /// <summary>Writes header and body into the request's buffer.</summary>
    /// <returns>Null, or why the request can't be sent.</returns>
    private KvError? Encode(Request request, ushort handle, ulong id)
    {
        FrameBuffer buffer = request.Buffer;
        buffer.Clear();
        request.Target = this;
        int start = Frame.Begin(buffer);
        double left = time.GetElapsedTime(time.GetTimestamp(), request.Deadline).TotalMilliseconds;
        request.WriteBody(buffer, handle, (int)Math.Clamp(Math.Ceiling(left), 1, Limits.DeadlineMsMax));
        int bodyLength = buffer.WrittenCount - FrameHeader.SizeBytes;
        if (bodyLength > Limits.FrameBodyBytesMax) return KvError.LimitExceeded("frame.bodyLength", bodyLength, Limits.FrameBodyBytesMax);
        Frame.Complete(buffer, start, FrameKind.Request, request.Opcode, id, request.PayloadLength);
        return null;
    }

    /// <summary>Enters a semaphore before a deadline.</summary>
    /// <returns>Null when entered.</returns>
    private async ValueTask<KvError?> EnterAsync(SemaphoreSlim semaphore, long deadline, CancellationToken cancellationToken)
    {
        if (semaphore.Wait(0, CancellationToken.None)) return null;
        TimeSpan left = time.GetElapsedTime(time.GetTimestamp(), deadline);
        try
        {
            if (left > TimeSpan.Zero && await semaphore.WaitAsync(left, cancellationToken).ConfigureAwait(false)) return null;
        }
        catch (OperationCanceledException)
        {
            return Request.Cancelled;
        }

        return new KvError(ErrorCode.DeadlineExceeded, "timeout", "passed", "a free place among the requests in flight");
    }
}
