namespace KvTier.Cluster;

/// <summary>
/// Keeps the cluster's facts in etcd, over its v3 JSON gateway. Silos are registered under leases; members and moved groups are keys
/// that one transaction guarded by the epoch changes; what changes is followed by a watch. Thread-safe.
/// </summary>
public sealed class EtcdEngine : IClusterEngine
{
    private readonly EtcdClient client;
    private readonly EtcdKeys keys;
    private readonly EtcdView view;
    private readonly EtcdReader reader;
    private readonly EtcdWatch watch;
    private readonly EtcdJoin join;
    private readonly EtcdLoads loads;
    private readonly SemaphoreSlim joining = new(1);
    private volatile Registration? registration;

    private EtcdEngine(EtcdOptions etcd, ClusterOptions cluster, HttpMessageInvoker http, TimeProvider time)
    {
        client = new EtcdClient(etcd, http, time);
        keys = new EtcdKeys(etcd.Prefix);
        view = new EtcdView(keys, cluster.Cluster);
        reader = new EtcdReader(client, keys, view);
        watch = new EtcdWatch(client, keys, reader, view, etcd.WatchSilence);
        join = new EtcdJoin(client, keys, etcd, cluster);
        loads = new EtcdLoads(time);
    }

    /// <summary>Makes an engine; etcd is not spoken to before the first call.</summary>
    /// <param name="etcd">Where etcd is.</param>
    /// <param name="cluster">Which cluster it is, and the settings of a new one; checked by the caller.</param>
    /// <param name="time">The clock.</param>
    /// <returns>The engine, or which option is wrong or which file can't be read.</returns>
    public static Result<EtcdEngine> Create(EtcdOptions etcd, ClusterOptions cluster, TimeProvider time)
    {
        if (etcd.Validate() is { } invalid) return invalid;
        return EtcdTransport.Create(etcd).TryGet(out HttpMessageInvoker? http, out KvError? error)
            ? new EtcdEngine(etcd, cluster, http, time) : error;
    }

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> JoinAsync(SiloEntry self, TimeSpan ttl, TimeSpan deadline)
    {
        long begin = client.Time.GetTimestamp();
        // No two at once: each of them would take the other's place.
        if (!await joining.WaitAsync(0)) return new KvError(ErrorCode.Busy, "JoinAsync", "called while it runs", "one call at a time");
        try
        {
            if (!(await join.RegisterAsync(self, ttl, deadline)).TryGet(out long lease, out KvError? error)) return error;
            loads.Clear();
            registration = new Registration(self.Name, lease);
            return await ReadAsync(deadline - client.Time.GetElapsedTime(begin));
        }
        finally
        {
            joining.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask<KvError?> RenewAsync(SiloLoad load, TimeSpan deadline)
    {
        long begin = client.Time.GetTimestamp();
        if (registration is not { } own) return Expired();
        Result<EtcdStreamed<EtcdLeaseAnswer>> renewed =
            await client.CallAsync<EtcdLeaseRequest, EtcdStreamed<EtcdLeaseAnswer>>(
            "/v3/lease/keepalive", new EtcdLeaseRequest(own.Lease), repeatable: true, deadline);
        if (!renewed.TryGet(out EtcdStreamed<EtcdLeaseAnswer>? answer, out KvError? error)) return error;
        if (answer.Result is not { Ttl: > 0 }) return Expired();
        if (!loads.IsDue(load, view.State, own.Name)) return null;
        var put = new EtcdPutRequest { Key = keys.Load(own.Name), Value = EtcdJson.WriteValue(load), Lease = own.Lease };
        TimeSpan left = deadline - client.Time.GetElapsedTime(begin);
        error = (await client.CallAsync<EtcdPutRequest, EtcdPutAnswer>("/v3/kv/put", put, repeatable: true, left)).Error;
        if (error is null) loads.OnPublished(load);
        // The lease is renewed; a load that was not written is written the next time.
        return error?.Code is ErrorCode.LeaseExpired ? error : null;
    }

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> ReadAsync(TimeSpan deadline)
    {
        if (await reader.ReadAsync(deadline) is { } error) return error;
        watch.Start();
        return view.State!;
    }

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> WaitAsync(long revision, TimeSpan deadline)
    {
        long begin = client.Time.GetTimestamp();
        watch.Start();
        if (await WaitForAsync(revision + 1, begin, deadline)) return view.State!;
        return watch.Trouble ?? new KvError(ErrorCode.DeadlineExceeded, "WaitAsync", "no change");
    }

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> CommitAsync(ClusterChange change, TimeSpan deadline)
    {
        long begin = client.Time.GetTimestamp();
        if (registration is not { } own) return new KvError(ErrorCode.Fenced, "silo.lease", "none", "a silo that has joined");
        if (view.State is null || view.State.Map.Epoch < change.Epoch)
        {
            if (await reader.ReadAsync(deadline) is { } unread) return unread;
        }

        Result<EtcdTransaction> made = EtcdCommit.Create(keys, view.State!.Map, change, own.Name, own.Lease);
        if (!made.TryGet(out EtcdTransaction? transaction, out KvError? error)) return error;
        TimeSpan left = deadline - client.Time.GetElapsedTime(begin);
        // Not repeatable: where it was carried out and the answer was lost, a second one would call our own epoch a conflict.
        Result<EtcdTransactionAnswer> got =
            await client.CallAsync<EtcdTransaction, EtcdTransactionAnswer>("/v3/kv/txn", transaction, repeatable: false, left);
        if (!got.TryGet(out EtcdTransactionAnswer? answer, out error)) return error;
        if (!answer.Succeeded) return EtcdCommit.Refusal(answer, change, own.Name, own.Lease);
        watch.Start();
        TimeSpan patience = TimeSpan.FromMilliseconds(Math.Min(500, deadline.TotalMilliseconds / 2));
        return await WaitForAsync(answer.Header.Revision, client.Time.GetTimestamp(), patience)
            ? view.State : await ReadAsync(deadline - client.Time.GetElapsedTime(begin));
    }

    /// <inheritdoc/>
    public async ValueTask<KvError?> LeaveAsync(TimeSpan deadline)
    {
        if (registration is not { } own) return null;
        KvError? error = await join.RevokeAsync(own.Lease, deadline);
        if (error is null) registration = null;
        return error;
    }

    /// <summary>Closes the connections. The lease runs out by itself; <see cref="LeaveAsync"/> ends it at once.</summary>
    public async ValueTask DisposeAsync()
    {
        client.Dispose();
        await watch.WhenEndedAsync();
        joining.Dispose();
    }

    private static KvError Expired() => new(ErrorCode.LeaseExpired, "silo.lease", "run out", "a new one: join again");

    private async ValueTask<bool> WaitForAsync(long revision, long begin, TimeSpan longest)
    {
        while (true)
        {
            Task changed = view.Changed;
            if (view.State is not null && view.Position >= revision) return true;
            TimeSpan left = longest - client.Time.GetElapsedTime(begin);
            if (left <= TimeSpan.Zero) return false;
            try
            {
                await changed.WaitAsync(left, client.Time, client.Stop);
            }
            catch (Exception e) when (e is TimeoutException or OperationCanceledException)
            {
                return false;
            }
        }
    }

    private sealed record Registration(string Name, long Lease);
}
