namespace KvTier.Cluster;

/// <summary>An answer that goes on: messages one after another, until either side ends it.</summary>
internal sealed class EtcdStream(Uri endpoint, HttpResponseMessage response, EtcdBody body, TimeProvider time) : IDisposable
{
    /// <summary>The endpoint that sends it.</summary>
    public Uri Endpoint => endpoint;

    /// <summary>Waits for the next message. After any error the stream is of no more use.</summary>
    /// <returns>
    /// The message; <see cref="ErrorCode.DeadlineExceeded"/> when none came in time; <see cref="ErrorCode.Unavailable"/> at its end.
    /// </returns>
    public async ValueTask<Result<T>> ReadAsync<T>(TimeSpan longest, CancellationToken stop)
        where T : class
    {
        using var late = new CancellationTokenSource(longest, time);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stop);
        try
        {
            while (true)
            {
                if (!(await body.ReadLineAsync(cancel.Token)).TryGet(out ReadOnlyMemory<byte> line, out KvError? error)) return error;
                if (line.IsEmpty) return EtcdErrors.Unreachable(endpoint, new IOException("the stream ended"));
                if (!EtcdJson.ReadMessage<EtcdStreamed<T>>(line.Span, "etcd").TryGet(out EtcdStreamed<T>? message, out error)) return error;
                if (message.Error is { } failure) return EtcdErrors.Of(endpoint, failure).Error;
                if (message.Result is { } result) return result;
            }
        }
        catch (OperationCanceledException)
        {
            return EtcdErrors.Late(endpoint, "/v3/watch", longest);
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            return EtcdErrors.Unreachable(endpoint, e);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => response.Dispose();
}
