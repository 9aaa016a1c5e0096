using KvTier.Silo.Metrics;
using Microsoft.AspNetCore.Http;

namespace KvTier.Silo.Http;

/// <summary>Answers the few paths there are.</summary>
internal sealed class HttpResponder(SiloOptions options, MetricCatalog catalog, Func<SiloState> state, Func<string> engines)
{
    private readonly TokenCheck token = new(options.Token);

    /// <summary>Answers one request.</summary>
    public Task RespondAsync(HttpContext context)
    {
        HttpRequest request = context.Request;
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
        {
            context.Response.Headers.Allow = "GET, HEAD";
            return WriteAsync(context, StatusCodes.Status405MethodNotAllowed, "only GET and HEAD\n");
        }

        SiloState now = state();
        switch (request.Path.Value)
        {
            case "/healthz":
                return WriteAsync(context, StatusCodes.Status200OK, "ok\n");
            case "/readyz":
                bool ready = now == SiloState.Ready;
                return WriteAsync(context, ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable,
                    now.ToString().ToLowerInvariant() + "\n");
            case "/version" when IsAuthorized(request):
                return WriteAsync(context, StatusCodes.Status200OK,
                    $"{{\"name\":\"kvtier\",\"version\":\"{HttpListenerHost.Version}\",\"protocol\":1}}\n", "application/json");
            case "/metrics" when IsAuthorized(request):
                return WriteAsync(context, StatusCodes.Status200OK, PrometheusText.Write(catalog), PrometheusText.ContentType);
            case "/engines" when IsAuthorized(request):
                return WriteAsync(context, StatusCodes.Status200OK, engines() + "\n", "application/json");
            case "/version" or "/metrics" or "/engines":
                context.Response.Headers.WWWAuthenticate = "Bearer";
                return WriteAsync(context, StatusCodes.Status401Unauthorized, "a token is needed: Authorization: Bearer TOKEN\n");
            default:
                return WriteAsync(context, StatusCodes.Status404NotFound, "there are /healthz, /readyz, /version, /metrics and /engines\n");
        }
    }

    private static Task WriteAsync(HttpContext context, int status, string text, string contentType = "text/plain; charset=utf-8")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.Headers.CacheControl = "no-store";
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.WriteAsync(text);
    }

    private bool IsAuthorized(HttpRequest request)
    {
        string header = request.Headers.Authorization.ToString();
        const string scheme = "Bearer ";
        return token.Accepts(header.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) ? header[scheme.Length..] : null);
    }
}
