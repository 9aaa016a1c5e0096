using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Recall;

namespace KvTier.Silo.Metrics;

/// <summary>Figures of the RESP2 listener.</summary>
internal readonly record struct RespFigures(long Commands, long Accepted, long Open);

/// <summary>What the silo counts itself; the engine's figures are read from <see cref="EngineStats"/>. Thread-safe.</summary>
internal sealed class SiloMetrics
{
    /// <summary>Listeners, as the label of connection metrics.</summary>
    public static readonly string[] Listeners = ["tcp", "unix", "resp"];

    /// <summary>Modes of recall, as the label of its metric.</summary>
    public static readonly string[] RecallModes = ["ids", "gather", "attend"];

    private const int OpcodeCount = 128;
    private const int RespListenerIndex = 2;

    private readonly long[] requests = new long[OpcodeCount];
    private readonly long[] errors = new long[Enum.GetValues<ErrorCode>().Length];
    private readonly long[] accepted = new long[Listeners.Length];
    private readonly long[] recalls = new long[RecallModes.Length];
    private readonly long[] missingTokens = new long[MissReasonExtensions.Count];
    private readonly long[] open = new long[Listeners.Length];
    private readonly LatencyHistogram?[] durations = new LatencyHistogram?[OpcodeCount];
    private long refused;
    private long bytesReceived;
    private long bytesSent;
    private long leasesExpired;
    private long reservationsRevoked;
    private long stalled;
    private long storesAbandoned;

    /// <summary>Makes the counters.</summary>
    public SiloMetrics()
    {
        foreach (Opcode opcode in Opcodes) durations[(int)opcode] = new LatencyHistogram();
    }

    /// <summary>The opcodes that are counted.</summary>
    public static IReadOnlyList<Opcode> Opcodes { get; } = [.. Enum.GetValues<Opcode>().Where(opcode => opcode.IsKnown())];

    /// <summary>Connections refused because there were too many.</summary>
    public long ConnectionsRefused => Interlocked.Read(ref refused);

    /// <summary>Connections ended because the client stopped reading or sending.</summary>
    public long ConnectionsStalled => Interlocked.Read(ref stalled);

    /// <summary>Bytes received by the native listeners.</summary>
    public long BytesReceived => Interlocked.Read(ref bytesReceived);

    /// <summary>Bytes sent by the native listeners.</summary>
    public long BytesSent => Interlocked.Read(ref bytesSent);

    /// <summary>Read leases of local clients that ran out.</summary>
    public long LeasesExpired => Interlocked.Read(ref leasesExpired);

    /// <summary>Reservations of local clients that ran out.</summary>
    public long ReservationsRevoked => Interlocked.Read(ref reservationsRevoked);

    /// <summary>Times that stopping gave up on an SSD that hangs.</summary>
    public long StoresAbandoned => Interlocked.Read(ref storesAbandoned);

    /// <summary>What is counted of traffic with a cluster; stays 0 outside of one.</summary>
    public Clustering.ClusterCounters Cluster { get; } = new();

    /// <summary>What is counted of engine regions.</summary>
    public Regions.RegionCounters Regions { get; } = new();

    /// <summary>What the RESP2 listener counts; null while it is off.</summary>
    public Func<RespFigures>? Resp { get; set; }

    /// <summary>Commands of RESP2 clients.</summary>
    public long RespCommands => Resp?.Invoke().Commands ?? 0;

    /// <summary>Stopping gave up on an SSD that hangs.</summary>
    public void StoreAbandoned() => Interlocked.Increment(ref storesAbandoned);

    /// <summary>A connection was accepted.</summary>
    /// <param name="listener">Index into <see cref="Listeners"/>.</param>
    public void ConnectionOpened(int listener)
    {
        Interlocked.Increment(ref accepted[listener]);
        Interlocked.Increment(ref open[listener]);
    }

    /// <summary>An accepted connection has ended.</summary>
    public void ConnectionClosed(int listener) => Interlocked.Decrement(ref open[listener]);

    /// <summary>A connection was refused.</summary>
    public void ConnectionRefused() => Interlocked.Increment(ref refused);

    /// <summary>A connection was ended because its client stopped.</summary>
    public void ConnectionStalled() => Interlocked.Increment(ref stalled);

    /// <summary>A request was answered.</summary>
    public void RequestDone(Opcode opcode, TimeSpan elapsed)
    {
        Interlocked.Increment(ref requests[(int)opcode & (OpcodeCount - 1)]);
        durations[(int)opcode & (OpcodeCount - 1)]?.Record(elapsed);
    }

    /// <summary>A request, or a block of one, was answered with an error.</summary>
    public void ErrorSent(ErrorCode code) => Interlocked.Increment(ref errors[Math.Min((int)code, errors.Length - 1)]);

    /// <summary>Bytes went over a native connection.</summary>
    public void Transferred(long received, long sent)
    {
        Interlocked.Add(ref bytesReceived, received);
        Interlocked.Add(ref bytesSent, sent);
    }

    /// <summary>A read lease ran out.</summary>
    public void LeaseExpired() => Interlocked.Increment(ref leasesExpired);

    /// <summary>A reservation ran out.</summary>
    public void ReservationRevoked() => Interlocked.Increment(ref reservationsRevoked);

    /// <summary>A recall was answered.</summary>
    public void RecallDone(RecallMode mode, IReadOnlyList<RecallItemAnswer> items)
    {
        Interlocked.Increment(ref recalls[(int)mode - 1]);
        foreach (RecallItemAnswer item in items)
        {
            foreach (MissingTokens missing in item.Missing)
                Interlocked.Add(ref missingTokens[Math.Min((int)missing.Reason, missingTokens.Length - 1)], missing.Tokens);
        }
    }

    /// <summary>Recalls answered, by index into <see cref="RecallModes"/>.</summary>
    public long RecallCount(int mode) => Interlocked.Read(ref recalls[mode]);

    /// <summary>Tokens that recalls missed, by reason.</summary>
    public long MissingTokens(MissReason reason) => Interlocked.Read(ref missingTokens[(int)reason]);

    /// <summary>Requests answered, by opcode.</summary>
    public long RequestCount(Opcode opcode) => Interlocked.Read(ref requests[(int)opcode]);

    /// <summary>Requests and commands answered, of other silos too.</summary>
    public long RequestsTotal => Opcodes.Sum(RequestCount) + RespCommands;

    /// <summary>Durations of an opcode's requests.</summary>
    public LatencyHistogram Durations(Opcode opcode) => durations[(int)opcode]!;

    /// <summary>Errors sent, by code.</summary>
    public long ErrorCount(ErrorCode code) => Interlocked.Read(ref errors[(int)code]);

    /// <summary>Connections accepted by a listener.</summary>
    public long Accepted(int listener) =>
        listener == RespListenerIndex ? Resp?.Invoke().Accepted ?? 0 : Interlocked.Read(ref accepted[listener]);

    /// <summary>Connections open now on a listener.</summary>
    public long Open(int listener) => listener == RespListenerIndex ? Resp?.Invoke().Open ?? 0 : Interlocked.Read(ref open[listener]);
}
