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
    /// silos out of reach are misses with reason <see cref="MissReason.Moved"/>: get them. Each one that is a hit must be disposed.</param>
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
        RouteTable table = Client.Table;
        ILookup<int, int> places = Enumerable.Range(0, ids.Length)
            .ToLookup(i => table.Map.OwnerOf(groups.IsEmpty ? ids.Span[i] : groups.Span[i]));
        int hits = 0;
        KvError? first = null;
        foreach (IGrouping<int, int> part in places)
        {
            Result<int> answer = await LeasePartAsync(
                table.Links[part.Key], [.. part], ids, leases, groups, timeout, cancellationToken).ConfigureAwait(false);
            if (answer.Error is { } error) first ??= error;
            else hits += answer.Value;
        }

        if (first is null) return hits;
        foreach (BlockLease lease in leases.Span[..ids.Length]) lease.Dispose();
        return first;
    }

    private async ValueTask<Result<int>> LeasePartAsync(
        SiloLink link, int[] places, ReadOnlyMemory<BlockId> ids, Memory<BlockLease> leases, ReadOnlyMemory<BlockId> groups,
        TimeSpan timeout, CancellationToken cancellationToken)
    {
        BlockId[] wanted = [.. places.Select(place => ids.Span[place])];
        BlockId[] of = groups.IsEmpty ? [] : [.. places.Select(place => groups.Span[place])];
        var granted = new BlockLease[places.Length];
        Array.Fill(granted, new BlockLease(BlockStatus.Miss, MissReason.Moved));
        Result<int> answer = 0;
        if (link.Endpoint.StartsWith("unix://", StringComparison.Ordinal) && link.NamespaceOf(this) is { } ns)
        {
            answer = await ns.LeaseAsync(wanted, of, granted, timeout, Client.Table.Epoch, cancellationToken).ConfigureAwait(false);
            if (answer.Error is { Code: ErrorCode.Unsupported }) answer = 0;
        }

        for (int i = 0; i < places.Length; i++) leases.Span[places[i]] = granted[i];
        return answer;
    }
}
