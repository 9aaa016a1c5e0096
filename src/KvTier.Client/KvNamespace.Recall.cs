using System.Runtime.InteropServices;
using KvTier.Client.Local;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>
    /// Finds the chunks that queries need, of several layers and sequences at once. The payload goes to the memory that the items name:
    /// o and lse of an attend, the rows of a gather. Every byte is checked; safe to repeat, and repeated when the connection is lost.
    /// </summary>
    /// <param name="query">What is asked; its memory belongs to the call until it has completed.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What each item got, in the order of the query; or an error, then the destinations hold nothing of meaning:
    /// <see cref="ErrorCode.InvalidArgument"/> names the field (a query of the wrong shape or not finite, a sequence that is not open, a
    /// destination that is too small), <see cref="ErrorCode.Corrupt"/> says that the payload failed its check.</returns>
    public ValueTask<Result<RecallItemResult[]>> RecallAsync(
        RecallQuery query, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(query);
        return query.Validate(Descriptor.Profile, takesPayload: true) is { } invalid
            ? new(invalid)
            : RecallRoutedAsync(query, timeout, default, cancellationToken);
    }

    /// <summary>The same of a silo of a cluster, with what is said to the cluster; the query has been validated.</summary>
    internal async ValueTask<Result<RecallItemResult[]>> RecallRoutedAsync(
        RecallQuery query, TimeSpan timeout, RouteContext route, CancellationToken cancellationToken)
    {
        if (query.Mode != RecallMode.Ids && client.PrefersLocal(PayloadRoom(query), query.Items.Count))
            return await RecallLocalAsync(query, timeout, route, cancellationToken).ConfigureAwait(false);
        WireRecallExchange recall = client.Recalls.Rent();
        try
        {
            recall.Set(this, query);
            recall.Route = route;
            if (await client.ExecuteAsync(recall, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            if (recall.PayloadError is { } unusable) return Unusable(unusable);
            return recall.Results;
        }
        finally
        {
            client.Recalls.Return(recall);
        }
    }

    /// <summary>The same with the payload leased in the silo's shared memory: no byte of it moves. Needs the local path.</summary>
    /// <param name="query">What is asked; the items' destinations are not used.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait; a lease that was granted all the same is given back.</param>
    /// <returns>The lease, which must be disposed; <see cref="ErrorCode.Unsupported"/> when the arena is not mapped.</returns>
    public ValueTask<Result<RecallLease>> RecallLeaseAsync(
        RecallQuery query, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(query);
        return query.Validate(Descriptor.Profile, takesPayload: false) is { } invalid
            ? new(invalid)
            : LeaseRoutedAsync(query, timeout, default, cancellationToken);
    }

    private async ValueTask<Result<RecallLease>> LeaseRoutedAsync(
        RecallQuery query, TimeSpan timeout, RouteContext route, CancellationToken cancellationToken)
    {
        LocalRecallExchange recall = client.LocalRecalls.Rent();
        try
        {
            recall.Set(this, query);
            recall.Route = route;
            if (await client.ExecuteAsync(recall, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return TakeLease(recall);
        }
        finally
        {
            client.LocalRecalls.Return(recall);
        }
    }

    private static long PayloadRoom(RecallQuery query)
    {
        long bytes = 0;
        foreach (RecallQueryItem item in query.Items)
            bytes += query.Mode == RecallMode.Gather ? item.Destination.Length : sizeof(float) * (long)item.Queries.Length;
        return bytes;
    }

    private static Result<RecallLease> TakeLease(LocalRecallExchange recall)
    {
        if (recall.Slot.Lease == 0) return new RecallLease(recall.Results);
        LocalSession session = recall.Session;
        if (!session.TryAcquire()) return new KvError(ErrorCode.Unavailable, "connection", "closed", "an open connection");
        (int Place, int Generation) grant = session.Leases.Add(recall.Slot.Lease);
        if (grant.Place >= 0) return new RecallLease(recall.Results, session, recall.Slot, grant);

        // The caller keeps so many leases that have run out that there is no place to note another.
        session.Release(recall.Slot.Lease);
        session.ReleaseMapping();
        return new KvError(ErrorCode.Busy, "leases", "none free", "leases that are disposed");
    }

    /// <summary>Leases the payload, copies it out and gives the lease back.</summary>
    private async ValueTask<Result<RecallItemResult[]>> RecallLocalAsync(
        RecallQuery query, TimeSpan timeout, RouteContext route, CancellationToken cancellationToken)
    {
        Result<RecallLease> leased = await LeaseRoutedAsync(query, timeout, route, cancellationToken).ConfigureAwait(false);
        if (!leased.TryGet(out RecallLease? lease, out KvError? error)) return error;
        using (lease)
        {
            for (int i = 0; i < query.Items.Count && error is null; i++) error = CopyOut(query, lease, i);
            error ??= lease.IsValid ? null : RecallPayload.Expired;
        }

        if (error is not null) return Unusable(error);
        return lease.Results;
    }

    private static KvError? CopyOut(RecallQuery query, RecallLease lease, int index)
    {
        RecallQueryItem item = query.Items[index];
        if (!lease.IsValid) return RecallPayload.Expired;
        ReadOnlySpan<byte> payload = lease.PayloadOf(index).Span;
        uint crc;
        if (query.Mode == RecallMode.Attend)
        {
            int outputBytes = item.Queries.Length * sizeof(float);
            crc = PieceCopy.Copy(payload[..outputBytes], MemoryMarshal.AsBytes(item.Output.Span));
            int lseBytes = payload.Length - outputBytes;
            Span<byte> lse = MemoryMarshal.AsBytes(item.Lse.Span)[..lseBytes];
            payload[outputBytes..].CopyTo(lse);
            crc = Crc32C.Append(crc, lse);
        }
        else
        {
            if (item.Destination.Length < payload.Length) return RecallPayload.TooSmall(index, item.Destination.Length, payload.Length);
            crc = PieceCopy.Copy(payload, item.Destination.Span);
        }

        uint check = lease.Items[index].Check;
        return crc == check ? null : RecallPayload.Corrupt(index, crc, check);
    }

    private KvError Unusable(KvError error)
    {
        if (error.Code == ErrorCode.Corrupt) client.Metrics.Corrupt();
        return error;
    }
}
