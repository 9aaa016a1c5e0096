using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using KvTier.Testing;
using static KvTier.Cluster.Tests.EtcdCluster;

namespace KvTier.Cluster.Tests;

public sealed class EtcdFailoverTests
{
    [Fact]
    public async Task Calls_FirstEndpointDead_GoToTheSecond()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        var dead = new Uri($"http://127.0.0.1:{TestPorts.Reserve()}");
        await using EtcdEngine engine = Engine(Options(dead, etcd.Endpoint));
        Assert.True((await engine.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await AdmitAsync(engine, Silo("a"));
        Assert.Equal(1, (await WhenAsync(engine, state => state.Map.Epoch == 1)).Map.Epoch);
    }

    [Fact]
    public async Task CommitAsync_FirstEndpointDead_IsMadeAtTheSecond()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdProcess dying = await EtcdProcess.StartAsync();
        await using EtcdEngine engine = Engine(Options(etcd.Endpoint, dying.Endpoint));
        Assert.True((await engine.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await using EtcdEngine turned = Engine(Options(dying.Endpoint, etcd.Endpoint));
        await dying.KillAsync();
        Assert.True((await turned.JoinAsync(Silo("b"), TimeSpan.FromMinutes(5), Long)).IsOk);
        Assert.Equal(1, (await turned.CommitAsync(new ClusterChange(0) { Silos = [Silo("b")] }, Long)).Value.Map.Epoch);
    }

    [Fact]
    public async Task Calls_FirstEndpointSilent_GoToTheSecondWithinTheDeadline()
    {
        await using EtcdProcess silent = await EtcdProcess.StartAsync();
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        silent.Freeze();
        try
        {
            await using EtcdEngine engine = Engine(Options(silent.Endpoint, etcd.Endpoint));

            // Half of it goes to the first.
            Assert.True((await engine.ReadAsync(TimeSpan.FromSeconds(10))).IsOk);
            Assert.True((await engine.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        }
        finally
        {
            silent.Thaw();
        }
    }

    [Fact]
    public async Task Calls_EtcdHangs_EndByTheirDeadlineAndGoOnAfterwards()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine engine = Engine(etcd);
        Assert.True((await engine.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        var deadline = TimeSpan.FromMilliseconds(500);
        etcd.Freeze();
        try
        {
            await EndsAsync(async () => (await engine.ReadAsync(deadline)).Error);
            await EndsAsync(async () => await engine.RenewAsync(new SiloLoad(), deadline));
            await EndsAsync(async () => (await engine.CommitAsync(new ClusterChange(0) { Silos = [] }, deadline)).Error);
            await EndsAsync(async () => (await engine.JoinAsync(Silo("a"), Ttl, deadline)).Error);
            await EndsAsync(async () => await engine.LeaveAsync(deadline));
        }
        finally
        {
            etcd.Thaw();
        }

        // Not a renewal: etcd may still have done what it was asked when it went on, the end of the lease too.
        Assert.True((await engine.ReadAsync(Long)).IsOk);

        async Task EndsAsync(Func<Task<KvError?>> call)
        {
            var clock = Stopwatch.StartNew();
            Assert.Equal(ErrorCode.DeadlineExceeded, (await call())?.Code);
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), $"{clock.Elapsed}");
        }
    }

    [Theory]
    [InlineData("""{"etcdserver":"3.3.27","etcdcluster":"3.3.0"}""", ErrorCode.VersionMismatch)]
    [InlineData("""{"etcdserver":"what"}""", ErrorCode.VersionMismatch)]
    [InlineData("""<html>""", ErrorCode.Corrupt)]
    public async Task JoinAsync_OtherServer_IsRefused(string version, ErrorCode expected)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task served = ServeAsync(listener, version);
        await using EtcdEngine engine = Engine(Options(new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}")));
        Assert.Equal(expected, (await engine.JoinAsync(Silo("a"), Ttl, Long)).Error?.Code);
        await served;
    }

    private static async Task ServeAsync(TcpListener listener, string body)
    {
        using TcpClient client = await listener.AcceptTcpClientAsync();
        NetworkStream stream = client.GetStream();
        using var request = new StreamReader(stream, Encoding.ASCII);
        while (await request.ReadLineAsync() is { Length: > 0 })
        {
            // What was sent and not read when the connection is closed would take the answer with it.
        }

        string head = $"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n";
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head + body));
    }
}
