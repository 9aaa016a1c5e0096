using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Support;

/// <summary>Base of tests that start a silo in this process; after each nothing may be left behind.</summary>
public abstract class SiloTest : IAsyncLifetime
{
    private readonly TempDirectory folder = new();
    private readonly List<SiloHost> hosts = [];
    private readonly List<IDisposable> clients = [];

    internal string Folder => folder.FullPath;

    /// <summary>Options of a small silo on ports that the system chooses.</summary>
    internal SiloOptions Small => new()
    {
        Port = 0,
        UnixSocket = folder["s"],
        HostBytes = 8 << 20,
        SocketBufferBytes = 64 << 10,
        GhostBlocks = 256,
        Http = new HttpOptions { Enabled = false },
        DrainSeconds = 60,
        PutWaitMs = 60_000,
    };

    internal async Task<SiloHost> StartAsync(SiloOptions? options = null)
    {
        SiloHost host = (await SiloHost.StartAsync(options ?? Small)).Value;
        hosts.Add(host);
        return host;
    }

    internal SiloHost Keep(SiloHost host)
    {
        hosts.Add(host);
        return host;
    }

    internal RawClient Connect(SiloHost host, NamespaceDescriptor? ns = null) => Keep(RawClient.Open(host.Endpoints.Native!, ns));

    internal RawClient ConnectUnix(SiloHost host, NamespaceDescriptor? ns = null) =>
        Keep(RawClient.Open(new UnixDomainSocketEndPoint(host.Endpoints.UnixSocket!), ns));

    internal RawClient Dial(EndPoint endPoint) => Keep(new RawClient(endPoint));

    /// <summary>Waits until something holds; the time is only a guard.</summary>
    internal static async Task UntilAsync(Func<bool> condition, string what, int seconds = 60)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(seconds), $"waited {seconds} s for: {what}");
            await Task.Delay(5);
        }
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (IDisposable client in clients) client.Dispose();
        foreach (SiloHost host in hosts)
        {
            await UntilAsync(() => host.State == SiloState.Stopped || host.Connections.Count == 0, "connections to end");
            if (host.State != SiloState.Stopped)
            {
                // A client has the last byte of its answer a moment before the silo gives the lease back.
                await UntilAsync(() => host.Engine.Stats is { LeasedSlots: 0, ReservedSlots: 0 }, "all leases to be given back");
            }

            await host.DisposeAsync();
        }

        folder.Dispose();
        LeakGate.AssertClean();
        GC.SuppressFinalize(this);
    }

    private RawClient Keep(RawClient client)
    {
        clients.Add(client);
        return client;
    }
}
