using System.Net.Http.Headers;

namespace KvTier.Cluster;

/// <summary>
/// Speaks to etcd's JSON gateway: one endpoint until it fails, then the next one; a token that is renewed when etcd wants a new one.
/// Thread-safe.
/// </summary>
internal sealed class EtcdClient(EtcdOptions options, HttpMessageInvoker http, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource stop = new();
    private int current;
    private volatile string? token;

    /// <summary>Fires when the client is closed.</summary>
    public CancellationToken Stop => stop.Token;

    /// <summary>The clock.</summary>
    public TimeProvider Time => time;

    /// <summary>Calls etcd.</summary>
    /// <param name="path">Path of the call.</param>
    /// <param name="request">What is sent.</param>
    /// <param name="repeatable">True when it does no harm to carry it out twice; then other endpoints are asked when one is silent.</param>
    /// <param name="deadline">Time for all of it.</param>
    public async ValueTask<Result<TAnswer>> CallAsync<TRequest, TAnswer>(string path, TRequest request, bool repeatable, TimeSpan deadline)
        where TAnswer : class
    {
        byte[] body = EtcdJson.WriteMessage(request);
        if (!(await OnSomeEndpointAsync(path, body, repeatable, deadline, ReadAsync)).TryGet(out byte[]? answer, out KvError? error))
            return error;
        return EtcdJson.ReadMessage<TAnswer>(answer, path);
    }

    /// <summary>Begins a call whose answer goes on.</summary>
    public ValueTask<Result<EtcdStream>> OpenAsync<TRequest>(string path, TRequest request, TimeSpan deadline) =>
        OnSomeEndpointAsync(path, EtcdJson.WriteMessage(request), repeatable: true, deadline, StreamAsync);

    /// <summary>Reads the version of the endpoint in use, and what time it is there.</summary>
    public async ValueTask<Result<EtcdServer>> ReadVersionAsync(TimeSpan deadline)
    {
        DateTimeOffset asked = time.GetUtcNow();
        Result<(Uri Endpoint, DateTimeOffset? Date, byte[] Body)> got =
            await OnSomeEndpointAsync("/version", null, repeatable: true, deadline, ReadDatedAsync);
        if (!got.TryGet(out (Uri Endpoint, DateTimeOffset? Date, byte[] Body) answer, out KvError? failure)) return failure;
        return EtcdJson.ReadMessage<EtcdVersion>(answer.Body, "etcd /version").TryGet(out EtcdVersion? version, out failure)
            ? new EtcdServer(answer.Endpoint, version.Server, answer.Date, asked, time.GetUtcNow()) : failure;
    }

    /// <summary>Turns to the next endpoint, unless another call has done so already.</summary>
    public void Leave(Uri endpoint)
    {
        int used = current;
        if (options.Endpoints[used] == endpoint) Interlocked.CompareExchange(ref current, (used + 1) % options.Endpoints.Count, used);
    }

    /// <summary>Forgets the token; the next call gets a new one.</summary>
    public void ForgetToken() => token = null;

    /// <inheritdoc/>
    public void Dispose()
    {
        stop.Cancel();
        http.Dispose();
    }

    private static async ValueTask<Result<byte[]>> ReadAsync(Uri endpoint, HttpResponseMessage response, CancellationToken cancel)
    {
        using (response)
        {
            var body = new EtcdBody(await response.Content.ReadAsStreamAsync(cancel));
            return (await body.ReadAllAsync(cancel)).TryGet(out ReadOnlyMemory<byte> read, out KvError? error) ? read.ToArray() : error;
        }
    }

    private static async ValueTask<Result<(Uri Endpoint, DateTimeOffset? Date, byte[] Body)>> ReadDatedAsync(
        Uri endpoint, HttpResponseMessage response, CancellationToken cancel)
    {
        DateTimeOffset? date = response.Headers.Date;
        return (await ReadAsync(endpoint, response, cancel)).TryGet(out byte[]? read, out KvError? error) ? (endpoint, date, read) : error;
    }

    private async ValueTask<Result<EtcdStream>> StreamAsync(Uri endpoint, HttpResponseMessage response, CancellationToken cancel) =>
        new EtcdStream(endpoint, response, new EtcdBody(await response.Content.ReadAsStreamAsync(cancel)), time);

    private async ValueTask<Result<T>> OnSomeEndpointAsync<T>(
        string path, byte[]? body, bool repeatable, TimeSpan deadline,
        Func<Uri, HttpResponseMessage, CancellationToken, ValueTask<Result<T>>> use)
    {
        long begin = time.GetTimestamp();
        KvError error = EtcdErrors.Late(options.Endpoints[current], path, deadline);
        for (int tried = 0; tried < options.Endpoints.Count; tried++)
        {
            TimeSpan left = deadline - time.GetElapsedTime(begin);
            if (left <= TimeSpan.Zero) break;
            Uri endpoint = options.Endpoints[current];
            // What may be done twice does not spend all its time on an endpoint that is silent.
            TimeSpan share = repeatable ? left / (options.Endpoints.Count - tried) : left;
            (Result<T> got, EtcdNext next) = await OnAsync(endpoint, path, body, share, use);
            if (got.IsOk || next is EtcdNext.Stop) return got;
            error = got.Error!;
            Leave(endpoint);
            if (next is EtcdNext.OtherIfRepeatable && !repeatable) break;
        }

        return error;
    }

    private async ValueTask<(Result<T> Got, EtcdNext Next)> OnAsync<T>(
        Uri endpoint, string path, byte[]? body, TimeSpan deadline,
        Func<Uri, HttpResponseMessage, CancellationToken, ValueTask<Result<T>>> use)
    {
        using var late = new CancellationTokenSource(deadline, time);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stop.Token);
        try
        {
            for (bool again = false; ; again = true)
            {
                if (options.User is not null && token is null && await LogInAsync(endpoint, cancel.Token) is { } refused)
                    return (refused.Error, refused.Next);
                using HttpRequestMessage request = RequestOf(endpoint, path, body, token);
                HttpResponseMessage response = await http.SendAsync(request, cancel.Token);
                if (response.IsSuccessStatusCode) return (await use(endpoint, response, cancel.Token), EtcdNext.Stop);
                if (!(await ReadAsync(endpoint, response, cancel.Token)).TryGet(out byte[]? said, out KvError? error))
                    return (error, EtcdNext.Stop);
                EtcdTrouble trouble = EtcdErrors.Of(endpoint, (int)response.StatusCode, said);
                if (trouble.Next is not EtcdNext.NewToken) return (trouble.Error, trouble.Next);
                ForgetToken();
                if (again || options.User is null) return (trouble.Error, EtcdNext.Stop);
            }
        }
        catch (OperationCanceledException)
        {
            return (EtcdErrors.Late(endpoint, path, deadline), EtcdNext.OtherIfRepeatable);
        }
        catch (HttpRequestException e)
        {
            bool sent = e.HttpRequestError
                is not (HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError);
            return (EtcdErrors.Unreachable(endpoint, e), sent ? EtcdNext.OtherIfRepeatable : EtcdNext.OtherEndpoint);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return (EtcdErrors.Unreachable(endpoint, e), EtcdNext.OtherIfRepeatable);
        }
    }

    private async ValueTask<EtcdTrouble?> LogInAsync(Uri endpoint, CancellationToken cancel)
    {
        byte[] body = EtcdJson.WriteMessage(new EtcdAuthenticateRequest(options.User!, options.Password!));
        using HttpRequestMessage request = RequestOf(endpoint, "/v3/auth/authenticate", body, null);
        HttpResponseMessage response = await http.SendAsync(request, cancel);
        if (!(await ReadAsync(endpoint, response, cancel)).TryGet(out byte[]? said, out KvError? error))
            return new EtcdTrouble(error, EtcdNext.Stop);
        if (!response.IsSuccessStatusCode)
        {
            EtcdTrouble trouble = EtcdErrors.Of(endpoint, (int)response.StatusCode, said);
            // An etcd without authentication lets everyone in; a user that is given does no harm.
            return trouble.Error.Value.Contains("authentication is not enabled", StringComparison.Ordinal) ? null : trouble;
        }

        if (!EtcdJson.ReadMessage<EtcdAuthenticateAnswer>(said, "etcd").TryGet(out EtcdAuthenticateAnswer? answer, out error))
            return new EtcdTrouble(error, EtcdNext.Stop);
        token = answer.Token;
        return null;
    }

    private static HttpRequestMessage RequestOf(Uri endpoint, string path, byte[]? body, string? token)
    {
        var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, new Uri(endpoint, path));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        if (token is not null) request.Headers.TryAddWithoutValidation("Authorization", token);
        // A member that has lost its leader ends a watch instead of saying nothing.
        request.Headers.TryAddWithoutValidation("Grpc-Metadata-hasleader", "true");
        return request;
    }
}
