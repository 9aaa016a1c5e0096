using KvTier.Client.Connections;
using KvTier.Client.Routing;

namespace KvTier.Client;

public sealed partial class KvClusterNamespace
{
    /// <summary>
    /// Leases blocks in the shared memory of those silos whose arena this client has mapped (silos that it was given a <c>unix://</c>
    /// endpoint of): no payload moves. Each lease is of its silo's client, and ends with it when that silo leaves the cluster.
    /// </summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="leases">Takes a lease, or the reason of a miss, for each block; at least as long as <paramref name="ids"/>. Blocks of
    /// silos out of reach are misses with reason <see cref="MissReason.Moved"/>: get them. What has moved from one silo in reach to another
    /// is asked for there. Each one that is a hit must be disposed.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait; leases that were granted all the same are given back.</param>
    /// <returns>How many are hits.</returns>
    public async ValueTask<Result<int>> LeaseAsync(
        ReadOnlyMemory<BlockId> ids, Memory<BlockLease> leases, ReadOnlyMemory<BlockId> groups = default, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        CheckRoom(leases.Length, ids.Length, nameof(leases), optional: false);
        CheckGroups(ids, groups);
        leases.Span[..ids.Length].Fill(new BlockLease(BlockStatus.Miss, MissReason.Moved));
        long deadline = ClientClock.After(Client.Time, timeout > TimeSpan.Zero ? timeout : Client.RequestTimeout);
        int[] left = [.. Enumerable.Range(0, ids.Length)];
        bool whole = false;
        try
        {
            while (true)
            {
                RouteTable table = Client.Table;
                (left, KvError? error) =
                    await LeaseSomeAsync(table, left, ids, leases, groups, deadline, cancellationToken).ConfigureAwait(false);
                if (error is not null) return error;
                if (left.Length == 0 || !await Client.RefreshAsync(table, null, deadline, cancellationToken).ConfigureAwait(false)) break;
                Client.CheckOpen();
            }

            whole = true;
        }
        finally
        {
            if (!whole) GiveBack(leases.Span[..ids.Length]);
        }

        int hits = 0;
        foreach (BlockLease lease in leases.Span[..ids.Length]) hits += lease.IsHit ? 1 : 0;
        return hits;
    }

    private static void GiveBack(ReadOnlySpan<BlockLease> leases)
    {
        foreach (BlockLease lease in leases) lease.Dispose();
    }

    /// <summary>Leases what silos in reach have.</summary>
    /// <returns>The places of the blocks of which a silo in reach says that they are another's; why it failed, otherwise.</returns>
    private async ValueTask<(int[] Moved, KvError? Error)> LeaseSomeAsync(
        RouteTable table, int[] places, ReadOnlyMemory<BlockId> ids, Memory<BlockLease> leases, ReadOnlyMemory<BlockId> groups,
        long deadline, CancellationToken cancellationToken)
    {
        var moved = new List<int>();
        foreach (IGrouping<int, int> part in places.GroupBy(i => table.Map.OwnerOf(groups.IsEmpty ? ids.Span[i] : groups.Span[i])))
        {
            SiloLink link = table.Links[part.Key];
            if (!link.Endpoint.StartsWith("unix://", StringComparison.Ordinal) || link.NamespaceOf(this) is not { } ns) continue;
            int[] asked = [.. part];
            KvError? error = await LeasePartAsync(ns, asked, ids, leases, groups, table.Epoch, deadline, cancellationToken)
                .ConfigureAwait(false);
            if (error is { Code: ErrorCode.Unsupported }) continue;
            if (error is not null) return ([], error);
            moved.AddRange(asked.Where(place => leases.Span[place].Reason == MissReason.Moved));
        }

        return ([.. moved], null);
    }

    private async ValueTask<KvError?> LeasePartAsync(
        KvNamespace ns, int[] places, ReadOnlyMemory<BlockId> ids, Memory<BlockLease> leases, ReadOnlyMemory<BlockId> groups, long epoch,
        long deadline, CancellationToken cancellationToken)
    {
        BlockId[] wanted = [.. places.Select(place => ids.Span[place])];
        BlockId[] of = groups.IsEmpty ? [] : [.. places.Select(place => groups.Span[place])];
        var granted = new BlockLease[places.Length];
        TimeSpan left = ClientClock.Until(Client.Time, deadline);
        if (left <= TimeSpan.Zero) return new KvError(ErrorCode.DeadlineExceeded, "lease");
        Result<int> answer = await ns.LeaseAsync(wanted, of, granted, left, epoch, cancellationToken).ConfigureAwait(false);
        for (int i = 0; i < places.Length && answer.IsOk; i++) leases.Span[places[i]] = granted[i];
        return answer.Error;
    }
}
