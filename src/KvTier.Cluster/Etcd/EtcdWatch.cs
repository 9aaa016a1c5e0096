namespace KvTier.Cluster;

/// <summary>
/// Keeps the view up to date by one stream of changes. A stream that breaks is opened again at the revision after the last one; where that
/// revision is gone, all keys are read again. A stream that says nothing for long is tried by opening it anew.
/// </summary>
internal sealed class EtcdWatch(EtcdClient client, EtcdKeys keys, EtcdReader reader, EtcdView view, TimeSpan silence)
{
    private static readonly TimeSpan callDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan pauseMin = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan pauseMax = TimeSpan.FromSeconds(2);
    private volatile KvError? trouble;
    private int started;
    private Task running = Task.CompletedTask;
    private bool mustRead;

    /// <summary>Why the stream does not run; null while it does.</summary>
    public KvError? Trouble => trouble;

    /// <summary>Starts it, unless it runs.</summary>
    public void Start()
    {
        if (Interlocked.Exchange(ref started, 1) == 0) running = RunAsync();
    }

    /// <summary>Waits for its end, after the client was closed.</summary>
    public Task WhenEndedAsync() => running;

    private async Task RunAsync()
    {
        TimeSpan pause = pauseMin;
        while (!client.Stop.IsCancellationRequested)
        {
            long before = view.Position;
            trouble = await FollowAsync();
            if (trouble is null || view.Position > before) pause = pauseMin;
            if (trouble is null) continue;
            try
            {
                await Task.Delay(pause, client.Time, client.Stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            pause = pause * 2 < pauseMax ? pause * 2 : pauseMax;
        }
    }

    /// <summary>Follows one stream to its end.</summary>
    /// <returns>Null when a new one is to be opened at once.</returns>
    private async ValueTask<KvError?> FollowAsync()
    {
        if (view.State is null || mustRead)
        {
            if (await reader.ReadAsync(callDeadline) is { } unread) return unread;
            mustRead = false;
        }

        (byte[] begin, byte[] end) = keys.All;
        var create = new EtcdWatchCreate { Key = begin, RangeEnd = end, StartRevision = view.Position + 1 };
        Result<EtcdStream> opened = await client.OpenAsync("/v3/watch", new EtcdWatchRequest(create), callDeadline);
        if (!opened.TryGet(out EtcdStream? stream, out KvError? error)) return error;
        using (stream)
        {
            bool created = false;
            while (true)
            {
                Result<EtcdWatchAnswer> read = await stream.ReadAsync<EtcdWatchAnswer>(silence, client.Stop);
                if (!read.TryGet(out EtcdWatchAnswer? answer, out error)) return OnBroken(stream.Endpoint, error, created);
                if (answer.Canceled) return OnCanceled(stream.Endpoint, answer);
                if (answer.Created && answer.Header.Revision < view.Position) return OnBehind(stream.Endpoint, answer.Header.Revision);
                created = true;
                trouble = null;
                if (view.Apply(answer.Events) is not { } unreadable) continue;
                mustRead = true;
                return unreadable;
            }
        }
    }

    private KvError? OnBroken(Uri endpoint, KvError error, bool created)
    {
        // Silence after the stream was made: open a new one, which shows whether etcd is there.
        if (error.Code is ErrorCode.DeadlineExceeded && created) return null;
        if (error.Code is ErrorCode.LimitExceeded) mustRead = true;
        if (error.Code is ErrorCode.Unauthorized) client.ForgetToken();
        client.Leave(endpoint);
        return error;
    }

    /// <summary>The endpoint knows less than we do: it lags, or etcd was set up anew, which the next read shows.</summary>
    private KvError OnBehind(Uri endpoint, long revision)
    {
        mustRead = true;
        return new KvError(ErrorCode.Unavailable, "etcd", $"{endpoint}: revision {revision}", $"{view.Position} or later");
    }

    private KvError? OnCanceled(Uri endpoint, EtcdWatchAnswer answer)
    {
        if (answer.CompactRevision > 0)
        {
            mustRead = true;
            return null;
        }

        KvError error = EtcdErrors.Of(endpoint, new EtcdFailure { Message = answer.CancelReason, GrpcCode = 14 }).Error;
        if (error.Code is ErrorCode.Unauthorized) client.ForgetToken();
        return error;
    }
}
