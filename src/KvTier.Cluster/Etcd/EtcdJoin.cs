using System.Globalization;

namespace KvTier.Cluster;

/// <summary>
/// Registers a silo: checks etcd and the cluster's format, then claims the silo's name and its data directory in one transaction under a
/// fresh lease. What an earlier start of the same silo left is taken over once, by the first registration of this start.
/// </summary>
internal sealed class EtcdJoin(EtcdClient client, EtcdKeys keys, EtcdOptions options, ClusterOptions cluster)
{
    private const int Tries = 3;
    private readonly HashSet<long> ownLeases = [];
    private bool joinedBefore;

    /// <summary>Registers it.</summary>
    /// <returns>The lease.</returns>
    public async ValueTask<Result<long>> RegisterAsync(SiloEntry self, TimeSpan ttl, TimeSpan deadline)
    {
        long begin = client.Time.GetTimestamp();
        if (Validate(self) is { } invalid) return invalid;
        if (await CheckVersionAsync(Left()) is { } old) return old;
        if (await CheckFormatAsync(self, Left()) is { } misfit) return misfit;
        KvError? error = null;
        for (int i = 0; i < Tries; i++)
        {
            if (!(await GrantAsync(ttl, Left())).TryGet(out EtcdLeaseAnswer? lease, out error)) return error;
            if (!(await ClaimAsync(self, lease.Id, Left())).TryGet(out EtcdTransactionAnswer? claimed, out error)) return error;
            if (claimed.Succeeded)
            {
                joinedBefore = true;
                return lease.Id;
            }

            await RevokeAsync(lease.Id, Left());
            error = Conflict(self, claimed, lease.Ttl);
            if (FindOwn(self, claimed) is not { } left) return error;
            if (await RevokeAsync(left, Left()) is { } failed) return failed;
        }

        return error!;

        TimeSpan Left() => deadline - client.Time.GetElapsedTime(begin);
    }

    /// <summary>Ends a lease, and with it what is registered under it.</summary>
    public async ValueTask<KvError?> RevokeAsync(long lease, TimeSpan deadline)
    {
        KvError? error = (await client.CallAsync<EtcdLeaseRequest, EtcdLeaseAnswer>(
            "/v3/lease/revoke", new EtcdLeaseRequest(lease), repeatable: true, deadline)).Error;
        return error?.Code is ErrorCode.LeaseExpired ? null : error;
    }

    private static KvError? Validate(SiloEntry self)
    {
        if (!Names.IsValid(self.Name)) return KvError.InvalidArgument("silo.name", self.Name, "1 to 128 characters of [a-z0-9._-]");
        return self.DataId.Length == 0 || Names.IsValid(self.DataId)
            ? null : KvError.InvalidArgument("silo.dataId", self.DataId, "up to 128 characters of [a-z0-9._-]");
    }

    private async ValueTask<KvError?> CheckVersionAsync(TimeSpan deadline)
    {
        if (!(await client.ReadVersionAsync(deadline)).TryGet(out EtcdServer found, out KvError? error)) return error;
        if (!Version.TryParse(found.Version.Split('-', '+')[0], out Version? version) || version < new Version(3, 4))
            return EtcdErrors.TooOld(found.Endpoint, found.Version);
        // Only at the start: a silo that serves goes on, for its lease runs by a clock that nobody sets.
        return joinedBefore ? null : found.CheckClock();
    }

    private async ValueTask<KvError?> CheckFormatAsync(SiloEntry self, TimeSpan deadline)
    {
        var wanted = new EtcdFormat(cluster.Cluster, EtcdFormat.CurrentVersion, self.Protocol, self.DiskFormat);
        var make = new EtcdTransaction
        {
            Compare = [EtcdCompare.Absent(keys.Format), EtcdCompare.Absent(keys.Epoch)],
            Success =
            [
                EtcdOperation.Put(keys.Format, EtcdJson.WriteValue(wanted)),
                EtcdOperation.Put(keys.Epoch, EtcdKeys.WriteEpoch(0)),
                EtcdOperation.Put(keys.MembersEpoch, EtcdKeys.WriteEpoch(0)),
                EtcdOperation.Put(keys.Settings, EtcdJson.WriteValue(new ClusterSettings { Replicas = cluster.Replicas })),
            ],
            Failure = [EtcdOperation.Get(keys.Format)],
        };
        Result<EtcdTransactionAnswer> made =
            await client.CallAsync<EtcdTransaction, EtcdTransactionAnswer>("/v3/kv/txn", make, repeatable: true, deadline);
        if (!made.TryGet(out EtcdTransactionAnswer? answer, out KvError? error)) return error;
        if (answer.Succeeded) return null;
        if (answer.KeyOf(0) is not { } format)
        {
            return new KvError(
                ErrorCode.Corrupt, "cluster.format", "missing beside an epoch", $"all keys under {options.Prefix}, or none of them");
        }

        return EtcdJson.ReadValue<EtcdFormat>(format.Value, "format").TryGet(out EtcdFormat? found, out error)
            ? found.Check(wanted, options.Prefix) : error;
    }

    private async ValueTask<Result<EtcdLeaseAnswer>> GrantAsync(TimeSpan ttl, TimeSpan deadline)
    {
        Result<EtcdLeaseAnswer> granted = await client.CallAsync<EtcdGrantRequest, EtcdLeaseAnswer>(
            "/v3/lease/grant", new EtcdGrantRequest((long)Math.Ceiling(ttl.TotalSeconds)), repeatable: true, deadline);
        if (granted.TryGet(out EtcdLeaseAnswer? lease, out _)) ownLeases.Add(lease.Id);
        return granted;
    }

    private ValueTask<Result<EtcdTransactionAnswer>> ClaimAsync(SiloEntry self, long lease, TimeSpan deadline)
    {
        byte[] entry = EtcdJson.WriteValue(self);
        var compare = new List<EtcdCompare> { EtcdCompare.Absent(keys.Silo(self.Name)) };
        var write = new List<EtcdOperation> { EtcdOperation.Put(keys.Silo(self.Name), entry, lease) };
        var read = new List<EtcdOperation> { EtcdOperation.Get(keys.Silo(self.Name)) };
        if (self.DataId.Length > 0)
        {
            compare.Add(EtcdCompare.Absent(keys.Data(self.DataId)));
            write.Add(EtcdOperation.Put(keys.Data(self.DataId), entry, lease));
            read.Add(EtcdOperation.Get(keys.Data(self.DataId)));
        }

        return client.CallAsync<EtcdTransaction, EtcdTransactionAnswer>(
            "/v3/kv/txn", new EtcdTransaction { Compare = compare, Success = write, Failure = read }, repeatable: false, deadline);
    }

    /// <summary>
    /// The lease of a registration that is our own: of this start, or, as long as this start has not been registered, of an earlier one
    /// with the same data directory, whose lock we hold.
    /// </summary>
    private long? FindOwn(SiloEntry self, EtcdTransactionAnswer claimed)
    {
        EtcdKeyValue? holder = claimed.KeyOf(0) ?? claimed.KeyOf(1);
        if (holder is null) return null;
        if (ownLeases.Contains(holder.Lease)) return holder.Lease;
        bool same = EtcdJson.ReadValue<SiloEntry>(holder.Value, "silos").TryGet(out SiloEntry? other, out _)
            && other.Name == self.Name && other.DataId == self.DataId;
        return same && self.DataId.Length > 0 && !joinedBefore ? holder.Lease : null;
    }

    private static KvError Conflict(SiloEntry self, EtcdTransactionAnswer claimed, long seconds)
    {
        (EtcdKeyValue? byName, EtcdKeyValue? byData) = (claimed.KeyOf(0), claimed.KeyOf(1));
        string holder = (byName ?? byData) is { } found
            && EtcdJson.ReadValue<SiloEntry>(found.Value, "silos").TryGet(out SiloEntry? other, out _)
            ? $"{other.Name} at {other.Endpoint}" : "another silo";
        string wait = string.Create(CultureInfo.InvariantCulture, $"or, if that one is dead, a start after its lease of up to {seconds} s");
        return byName is not null || byData is null
            ? new KvError(ErrorCode.Conflict, "silo.name", $"{self.Name}, which {holder} has", $"another name; {wait}")
            : new KvError(
                ErrorCode.Conflict, "silo.dataDirectory", $"{self.DataId}, which {holder} has", $"a data directory of its own; {wait}");
    }
}
