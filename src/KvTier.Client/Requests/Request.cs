using System.Threading.Tasks.Sources;
using KvTier.Client.Connections;
using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>
/// One request and its answer, used again for later ones. Completed by whoever comes first: the receive loop, the deadline, the caller's
/// token or the end of the connection.
/// </summary>
/// <remarks>Lock order: the request, then the connection's table of pending requests.</remarks>
internal abstract class Request : IValueTaskSource<KvError?>, IDisposable
{
    internal static readonly KvError Cancelled = new(ErrorCode.None, "cancelled");

    private readonly Lock gate = new();
    private ManualResetValueTaskSourceCore<KvError?> source = new() { RunContinuationsAsynchronously = true };
    private ITimer? timer;
    private TimeProvider time = TimeProvider.System;
    private volatile Phase phase = Phase.Done;
    private Connection? connection;
    private KvError? interrupt;
    private bool sending;

    private enum Phase
    {
        Done,
        Waiting,
        Receiving,
    }

    /// <summary>Header and body as they go out.</summary>
    public FrameBuffer Buffer { get; } = new(512);

    /// <summary>What is asked for.</summary>
    public abstract Opcode Opcode { get; }

    /// <summary>The namespace it is about; null for none.</summary>
    public KvNamespace? Namespace { get; set; }

    /// <summary>The one connection that can answer it; null for any.</summary>
    public Connection? Pinned { get; set; }

    /// <summary>Timestamp at which the operation, retries included, must be over.</summary>
    public long Deadline { get; set; }

    /// <summary>The connection of the latest try.</summary>
    public Connection? Answered { get; private set; }

    /// <summary>The connection of the next try; set before the body is written.</summary>
    public Connection? Target { get; set; }

    /// <summary>What it says to a cluster, but for groups.</summary>
    public RouteContext Route { get; set; }

    /// <summary>Epoch of the silo that answered; 0 when it said none.</summary>
    public long AnsweredEpoch { get; protected set; }

    /// <summary>The id on the wire of the latest try.</summary>
    public ulong Id { get; private set; }

    /// <summary>Blocks whose bytes follow the body.</summary>
    public virtual int PayloadCount => 0;

    /// <summary>Bytes that follow the body.</summary>
    public virtual long PayloadLength => 0;

    /// <summary>Blocks of an answer's payload, counted after <see cref="ReadBody"/>.</summary>
    public virtual int SinkCount => 0;

    /// <summary>Blocks that the request is about.</summary>
    public virtual int ItemCount => 0;

    /// <summary>True for requests that are only answered over shared memory.</summary>
    public virtual bool NeedsLocal => false;

    /// <summary>True when it may be sent again although it may have been done: it is then done once, or once more without harm.</summary>
    public virtual bool IsRepeatable => true;

    /// <summary>True when neither the request nor its answer carries blocks: then the answer is only microseconds off, and its caller looks
    /// for it before it lets go of its thread.</summary>
    public bool IsBrief => Opcode is not (Opcode.Get or Opcode.Put or >= Opcode.SequenceOpen);

    /// <summary>True once the request is completed. A hint, read without the lock.</summary>
    public bool IsAnswered => phase == Phase.Done;

    /// <summary>Bytes of one block that follow the body.</summary>
    public virtual ReadOnlyMemory<byte> Payload(int index) => default;

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="handle">The namespace's handle on this connection.</param>
    /// <param name="deadlineMs">Time left, in ms.</param>
    public abstract void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs);

    /// <summary>Reads the answer's body; runs on the receive loop.</summary>
    /// <returns>Null, or what in it breaks the protocol.</returns>
    public abstract KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits);

    /// <summary>Compares with the silo's limits before anything is sent.</summary>
    /// <returns>Null when the request may be sent.</returns>
    public virtual KvError? Check(Limits limits) =>
        ItemCount > limits.BatchBlocksMax ? KvError.LimitExceeded("batch.count", ItemCount, limits.BatchBlocksMax) : null;

    /// <summary>Where a block of the answer's payload goes.</summary>
    /// <param name="index">0 to <see cref="SinkCount"/> - 1.</param>
    /// <param name="length">Bytes of it on the wire.</param>
    /// <returns>The destination, exactly that long; empty to throw the bytes away.</returns>
    public virtual Memory<byte> BeginSink(int index, out int length) => throw new InvalidOperationException("This answer has no payload.");

    /// <summary>Takes a piece that has arrived in the destination, in order.</summary>
    public virtual void TakePiece(ReadOnlySpan<byte> piece)
    {
    }

    /// <summary>All pieces of a block have arrived.</summary>
    public virtual void EndSink(int index)
    {
    }

    /// <summary>Starts a try: from now on the request can be completed.</summary>
    /// <returns>What to await once it is sent.</returns>
    public ValueTask<KvError?> Begin(Connection target, ulong id, TimeProvider clock)
    {
        lock (gate)
        {
            source.Reset();
            connection = target;
            Answered = target;
            Id = id;
            interrupt = null;
            sending = true;
            phase = Phase.Waiting;
            if (!ReferenceEquals(clock, time) || timer is null)
            {
                timer?.Dispose();
                time = clock;
                timer = clock.CreateTimer(static state => ((Request)state!).OnTimer(), this, Timeout.InfiniteTimeSpan,
                    Timeout.InfiniteTimeSpan);
            }

            TimeSpan left = clock.GetElapsedTime(clock.GetTimestamp(), Deadline);
            timer.Change(left > TimeSpan.Zero ? left + TimeSpan.FromMilliseconds(1) : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
            return new ValueTask<KvError?>(this, source.Version);
        }
    }

    /// <summary>The frame is in the socket: cancellation may now let go of the caller's memory.</summary>
    public void EndSend()
    {
        lock (gate)
        {
            sending = false;
            if (interrupt is not null && phase == Phase.Waiting) Abandon(interrupt);
        }
    }

    /// <summary>Ends the wait for the caller's token.</summary>
    public void Cancel() => Interrupt(Cancelled);

    /// <summary>The receive loop has the answer's header.</summary>
    /// <returns>False when nobody waits for that answer any more.</returns>
    public bool TryBeginReceive(ulong id)
    {
        lock (gate)
        {
            if (phase != Phase.Waiting || Id != id) return false;
            phase = Phase.Receiving;
            return true;
        }
    }

    /// <summary>Why the receive loop must not write to the caller's memory any more; null while it may.</summary>
    public KvError? InterruptReason
    {
        get
        {
            lock (gate) return interrupt;
        }
    }

    /// <summary>Completes the request that the receive loop has begun to receive.</summary>
    /// <param name="error">The silo's error; null for an answer.</param>
    /// <param name="whole">True when the answer is complete: it then counts although the wait was ended meanwhile.</param>
    public void EndReceive(KvError? error, bool whole)
    {
        lock (gate)
        {
            if (phase == Phase.Receiving) Complete(whole ? error : interrupt ?? error);
        }
    }

    /// <summary>Completes the request because its connection has ended.</summary>
    public void Fail(ulong id, KvError error)
    {
        lock (gate)
        {
            if (phase != Phase.Done && Id == id) Complete(interrupt ?? error);
        }
    }

    /// <inheritdoc/>
    public KvError? GetResult(short token) => source.GetResult(token);

    /// <inheritdoc/>
    public ValueTaskSourceStatus GetStatus(short token) => source.GetStatus(token);

    /// <inheritdoc/>
    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        source.OnCompleted(continuation, state, token, flags);

    /// <summary>Forgets the caller's memory.</summary>
    public virtual void Clear()
    {
        Namespace = null;
        Route = default;
        AnsweredEpoch = 0;
        Pinned = null;
        Answered = null;
        Target = null;
        connection = null;
        Buffer.Clear();
    }

    /// <summary>Gives memory and timer back.</summary>
    public virtual void Dispose()
    {
        timer?.Dispose();
        Buffer.Dispose();
    }

    /// <summary>Refuses payload after an answer that has none.</summary>
    protected static KvError? NoPayload(long payloadLength) =>
        payloadLength == 0 ? null : new KvError(ErrorCode.ProtocolViolation, "frame.payloadLength", $"{payloadLength}", "0");

    private void OnTimer()
    {
        // A timer of an earlier use may still be on its way, and timers run on a coarser clock that can be early: only the clock counts.
        lock (gate)
        {
            if (phase == Phase.Done) return;
            TimeSpan left = ClientClock.Until(time, Deadline);
            if (left > TimeSpan.Zero)
            {
                timer!.Change(left + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
                return;
            }

            Interrupt(DeadlineExceeded());
        }
    }

    private void Interrupt(KvError reason)
    {
        lock (gate)
        {
            if (phase == Phase.Done) return;
            interrupt ??= reason;

            // A frame can't be left half sent: a token waits for the rest of it (see EndSend), a deadline gives the connection up.
            if (sending && !ReferenceEquals(reason, Cancelled)) connection!.Abort(reason);
            else if (phase == Phase.Receiving) connection!.InterruptReceive();
            else if (!sending) Abandon(reason);
        }
    }

    private void Abandon(KvError reason)
    {
        connection!.Abandon(Id, overdue: !ReferenceEquals(reason, Cancelled));
        Complete(reason);
    }

    private void Complete(KvError? error)
    {
        timer!.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        source.SetResult(error);

        // Last, because a caller that sees it takes the result at once.
        phase = Phase.Done;
    }

    private static KvError DeadlineExceeded() => new(ErrorCode.DeadlineExceeded, "timeout", "passed", "an answer before the deadline");
}
