using System.Collections.Concurrent;
using System.Text;
using KvTier.Engine;
using KvTier.Silo.Native;
using KvTier.Silo.Resp.Routing;

namespace KvTier.Silo.Resp;

/// <summary>What all RESP connections share.</summary>
internal sealed class RespServer
{
    /// <summary>Databases, as many as Redis has by default.</summary>
    public const int Databases = 16;

    private readonly ushort[] handles = new ushort[Databases];
    private readonly NamespaceId[] ids = new NamespaceId[Databases];

    private RespServer(RespOptions options, RespLimits limits, BlockEngine engine, TimeProvider time)
    {
        Options = options;
        Limits = limits;
        Engine = engine;
        Time = time;
        Started = time.GetTimestamp();
        Held = new ByteBudget(limits.HeldBytesMax > 0 ? limits.HeldBytesMax : engine.Arena.CapacityBytes / 4);
        Password = string.IsNullOrEmpty(options.Password) ? null : Encoding.UTF8.GetBytes(options.Password);
    }

    public RespOptions Options { get; }

    public RespLimits Limits { get; }

    public BlockEngine Engine { get; }

    public TimeProvider Time { get; }

    /// <summary>The password; null when none is asked for.</summary>
    public byte[]? Password { get; }

    /// <summary>Host memory that the leases of MGETs hold, over all connections.</summary>
    public ByteBudget Held { get; }

    /// <summary>Monotonic time of the start.</summary>
    public long Started { get; }

    /// <summary>Makes a command that looks at a key and then changes it one step for all other RESP clients. It is held for
    /// look-ups and pointer changes only, never while bytes move or anything is awaited: see ADR 60.</summary>
    public Lock Gate { get; } = new();

    public ConcurrentDictionary<long, RespConnection> Connections { get; } = new();

    public int Port { get; set; }

    /// <summary>Whose a key is, and the way there; null outside of a cluster.</summary>
    public RespRouter? Router { get; set; }

    public RespCounters Counters { get; } = new();

    /// <summary>The time in ms since 1970.</summary>
    public long NowUnixMs => Time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Opens the namespace of every database.</summary>
    public static Result<RespServer> Create(RespOptions options, RespLimits limits, BlockEngine engine, TimeProvider time)
    {
        var server = new RespServer(options, limits, engine, time);
        for (int db = 0; db < Databases; db++)
        {
            NamespaceDescriptor descriptor = DescribeDatabase(db);
            if (!engine.OpenNamespace(descriptor).TryGet(out ushort handle, out KvError? error)) return error;
            server.handles[db] = handle;
            server.ids[db] = descriptor.Id;
        }

        return server;
    }

    /// <summary>
    /// The namespace of a database. Its number is in the profile's name, so that equal keys of two databases have different ids.
    /// </summary>
    public static NamespaceDescriptor DescribeDatabase(int db) => new("resp", Profiles.Opaque with { Name = $"opaque.{db}" });

    /// <summary>Handle of a database's namespace.</summary>
    public ushort Namespace(int db) => handles[db];

    /// <summary>Id of a key.</summary>
    public BlockId Id(int db, ReadOnlySpan<byte> key) => BlockId.Compute(ids[db], key);
}

/// <summary>Totals since the start.</summary>
internal sealed class RespCounters
{
    private long connections;
    private long rejected;
    private long commands;

    public long Connections => Volatile.Read(ref connections);

    public long Rejected => Volatile.Read(ref rejected);

    public long Commands => Volatile.Read(ref commands);

    public long AddConnection() => Interlocked.Increment(ref connections);

    public void AddRejected() => Interlocked.Increment(ref rejected);

    public void AddCommands(long count) => Interlocked.Add(ref commands, count);
}
