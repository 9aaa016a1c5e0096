using System.Net;
using KvTier.Engine;
using KvTier.Memory;
using KvTier.Silo.Resp;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvTier.Silo.Tests.Resp;

/// <summary>An engine in host memory with a RESP listener on a port of the system's choice.</summary>
internal sealed class RespSilo : IAsyncDisposable
{
    private readonly Arena arena;

    private RespSilo(Arena arena, BlockEngine engine, RespListener listener)
    {
        this.arena = arena;
        Engine = engine;
        Listener = listener;
    }

    public BlockEngine Engine { get; }

    public RespListener Listener { get; }

    public int Port => Listener.LocalEndPoint!.Port;

    public static async Task<RespSilo> StartAsync(
        int arenaMiB = 64, string? password = null, RespLimits? limits = null, ILogger? logger = null)
    {
        Arena memory = Arena.Create(new ArenaOptions { CapacityBytes = (long)arenaMiB << 20, Shared = false }).Value;
        var engine = new BlockEngine(new EngineOptions(), memory, null, TimeProvider.System);
        engine.Start();
        var listener = new RespListener(
            new RespOptions { Enabled = true, Address = IPAddress.Loopback.ToString(), Port = 0, Password = password },
            engine,
            logger ?? NullLogger.Instance,
            limits);
        KvError? error = await listener.StartAsync();
        Assert.Null(error);
        return new RespSilo(memory, engine, listener);
    }

    /// <summary>Stops everything, after checking that no connection has left a lease or a reservation.</summary>
    public async ValueTask DisposeAsync()
    {
        await Listener.StopAsync(TimeSpan.FromSeconds(60));
        EngineStats stats = Engine.Stats;
        await Engine.DisposeAsync();
        arena.Dispose();
        Assert.Equal(0, stats.LeasedSlots);
        Assert.Equal(0, stats.ReservedSlots);
    }
}
