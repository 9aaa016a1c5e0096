using System.Net;
using System.Reflection;
using System.Text.Json;
using KvTier.Silo.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Http;

/// <summary>Health, version and metrics over HTTP, on a port of its own.</summary>
internal sealed class HttpListenerHost : IAsyncDisposable
{
    /// <summary>Most bytes of a request's head; there are no bodies.</summary>
    private const int RequestHeadBytesMax = 16 << 10;

    private readonly WebApplication app;

    private HttpListenerHost(WebApplication app, IPEndPoint endPoint)
    {
        this.app = app;
        EndPoint = endPoint;
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>The version that <c>/version</c> and Hello report.</summary>
    public static string Version { get; } =
        typeof(HttpListenerHost).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    /// <summary>Binds and starts to answer.</summary>
    public static async Task<Result<HttpListenerHost>> StartAsync(SiloOptions options, MetricCatalog catalog, Func<SiloState> state,
        Func<string> engines, ILoggerFactory loggers)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton<ILoggerFactory>(new HttpLoggers(loggers));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Configure(kestrel, options.Http));
        WebApplication web = builder.Build();
        var responder = new HttpResponder(options, catalog, state, engines);
        web.Run(responder.RespondAsync);
        try
        {
            await web.StartAsync();
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            await web.DisposeAsync();
            return KvError.InvalidArgument("http.port", $"{options.Http.Address}:{options.Http.Port} ({e.Message})",
                "an address and port that can be bound");
        }

        string bound = web.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        var uri = new Uri(bound);
        return new HttpListenerHost(web, new IPEndPoint(IPAddress.Parse(uri.Host.Trim('[', ']')), uri.Port));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await app.StopAsync(soon.Token);
        await app.DisposeAsync();
    }

    private static void Configure(KestrelServerOptions kestrel, HttpOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = 0;
        kestrel.Limits.MaxRequestHeadersTotalSize = RequestHeadBytesMax;
        kestrel.Limits.MaxConcurrentConnections = 256;
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(60);
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        kestrel.Listen(IPAddress.Parse(options.Address), options.Port);
    }
}
