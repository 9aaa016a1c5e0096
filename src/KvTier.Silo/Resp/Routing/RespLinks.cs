using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using KvTier.Client.Connections;
using KvTier.Silo.Clustering;

namespace KvTier.Silo.Resp.Routing;

/// <summary>The connections to the RESP2 listeners of the other silos: a bounded number to each, made when they are needed.</summary>
/// <param name="password">What the other listeners ask for, as this one does; null for none.</param>
/// <param name="time">The clock.</param>
internal sealed class RespLinks(byte[]? password, TimeProvider time) : IDisposable
{
    /// <summary>Most connections to one silo: as many commands are on their way to it.</summary>
    private const int LinksMax = 32;

    private static readonly TimeSpan connectMax = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Pool> pools = new(StringComparer.Ordinal);

    /// <summary>Takes a connection to a silo.</summary>
    /// <param name="to">The silo.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>The connection, begun with what is left of the time; or why there is none.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Result<RespLink>> RentAsync(SiloEntry to, TimeSpan deadline)
    {
        if (to.RespEndpoint is not { } endpoint || !HostPort.TryParse(endpoint, out string host, out int port))
            return new KvError(ErrorCode.Unavailable, $"silo {to.Name}", "no RESP2 listener", "resp.enabled on all silos of the cluster");
        long start = time.GetTimestamp();
        Pool pool = pools.GetOrAdd(endpoint, static (_, time) => new Pool(time), time);
        if (!await pool.Permits.WaitAsync(deadline)) return PeerErrors.Late(to, deadline);
        while (pool.TryPop(out RespLink? idle))
        {
            if (idle.IsFresh)
            {
                idle.Begin(deadline - time.GetElapsedTime(start));
                return idle;
            }

            idle.Dispose();
        }

        Result<RespLink> made = pool.Breaker.IsOpen
            ? PeerErrors.Unreachable(to, "it could not be reached a moment ago")
            : await ConnectAsync(pool, to, host, port, deadline - time.GetElapsedTime(start));
        if (!made.IsOk) pool.Permits.Release();
        return made;
    }

    /// <summary>Gives a connection back; one whose command has not ended is closed.</summary>
    public void Return(SiloEntry to, RespLink link)
    {
        Pool pool = pools[to.RespEndpoint!];
        if (link.IsBusy) link.Dispose();
        else pool.Push(link);
        pool.Permits.Release();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Pool pool in pools.Values)
        {
            while (pool.TryPop(out RespLink? link)) link.Dispose();
        }
    }

    private async ValueTask<Result<RespLink>> ConnectAsync(Pool pool, SiloEntry to, string host, int port, TimeSpan deadline)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var ending = new CancellationTokenSource(deadline < connectMax ? deadline : connectMax, time);
        RespLink? link = null;
        try
        {
            EndPoint endPoint = IPAddress.TryParse(host, out IPAddress? address)
                ? new IPEndPoint(address, port)
                : new DnsEndPoint(host, port);
            await socket.ConnectAsync(endPoint, ending.Token);
            EagerSocket.Prepare(socket);
            link = new RespLink(socket, time);
            link.Begin(deadline);
            if (password is not null && await GreetAsync(link) is { } refused)
            {
                link.Dispose();
                return new KvError(ErrorCode.Unauthorized, $"silo {to.Name}: resp.password", refused, "the same password on all silos");
            }

            pool.Breaker.Succeeded();
            return link;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            link?.Dispose();
            socket.Dispose();
            pool.Breaker.Failed();
            return PeerErrors.Unreachable(to, e is SocketException ? e.Message : "no answer in time");
        }
    }

    private async ValueTask<string?> GreetAsync(RespLink link)
    {
        byte[] head = Encoding.ASCII.GetBytes($"*2\r\n$4\r\nAUTH\r\n${password!.Length}\r\n");
        await link.SendAsync((byte[])[.. head, .. password, .. "\r\n"u8]);
        RespReplyHead reply = await link.ReadHeadAsync();
        return reply.IsError ? reply.Text : null;
    }

    private sealed class Pool(TimeProvider time)
    {
        private readonly Stack<RespLink> idle = new();

        public SemaphoreSlim Permits { get; } = new(LinksMax, LinksMax);

        public PeerBreaker Breaker { get; } = new(time);

        public void Push(RespLink link)
        {
            lock (idle) idle.Push(link);
        }

        public bool TryPop([NotNullWhen(true)] out RespLink? link)
        {
            lock (idle) return idle.TryPop(out link);
        }
    }
}
