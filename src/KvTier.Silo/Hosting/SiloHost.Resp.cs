using System.Net;
using KvTier.Silo.Metrics;
using KvTier.Silo.Resp;

namespace KvTier.Silo;

/// <content>The RESP2 listener's place in the silo.</content>
public sealed partial class SiloHost
{
    private RespListener? respListener;

    private KvError? BindResp()
    {
        WarnIfOpen(options.Resp.Address, options.Resp.Password, "resp");

        // Registered here first, so that the data directory knows them before a value is stored.
        for (int db = 0; db < RespServer.Databases; db++)
        {
            if (store!.Namespaces.Open(RespServer.DescribeDatabase(db)).Error is { } refused) return refused;
        }

        var resp = new RespListener(options.Resp, store!.Engine, loggers.CreateLogger("KvTier.Silo.Resp"), RespLimitsOf(options), time);
        metrics.Resp = () => new RespFigures(resp.Counters?.Commands ?? 0, resp.Counters?.Connections ?? 0, resp.Connections);
        listeners.Add(new RespAdapter(resp));
        respListener = resp;
        if (resp.Bind() is { } error) return error;
        Endpoints = Endpoints with { Resp = resp.LocalEndPoint };
        return null;
    }

    private static RespLimits RespLimitsOf(SiloOptions options) => new()
    {
        ConnectionsMax = options.Limits.ConnectionsMax,
        KeyBytesMax = options.Limits.KeyBytesMax,
        ValueBytesMax = options.Limits.BlockBytesMax,
        HeldBytesMax = options.Resp.HeldBytes,
        StallMs = options.StallTimeoutMs,
        ReadMs = options.RequestDeadlineMs,
        RoomMs = options.PutWaitMs,
        SocketBufferBytes = options.SocketBufferBytes,
    };

    /// <summary>Makes a silo's listener of the RESP2 one.</summary>
    private sealed class RespAdapter(RespListener resp) : ISiloListener
    {
        public EndPoint EndPoint => resp.LocalEndPoint!;

        public KvError? Bind() => resp.Bind();

        public void Accept() => resp.Accept();

        public async Task<bool> DrainAsync(TimeSpan deadline) => await resp.StopAsync(deadline);

        public ValueTask DisposeAsync() => resp.DisposeAsync();
    }
}
