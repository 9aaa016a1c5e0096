using KvTier.Protocol;

namespace KvTier.Silo.Clustering;

/// <summary>Takes blocks away from the other silos that may have them, after the owner has deleted them.</summary>
/// <param name="cluster">The silo's part in its cluster.</param>
/// <param name="ns">The namespace.</param>
/// <param name="ids">Blocks of the request.</param>
/// <param name="groups">Their groups.</param>
/// <param name="statuses">What became of each here; one that another silo had is done too.</param>
internal sealed class Deletion(SiloCluster cluster, NamespaceDescriptor ns, BlockId[] ids, BlockId[] groups, ItemStatus[] statuses)
{
    /// <summary>Deletes blocks.</summary>
    /// <param name="owned">Those that this silo owns, by their place in the request.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>Null, or which silo can't be asked: it may bring a block back.</returns>
    public async ValueTask<KvError?> RunAsync(IReadOnlyList<int> owned, TimeSpan deadline)
    {
        if (ns.IsMutable) return null;
        ClusterMap map = cluster.Map;
        var bySilo = new Dictionary<int, List<int>>();
        foreach (int index in owned)
        {
            foreach (int silo in SilosWith(map, groups[index]))
            {
                if (!bySilo.TryGetValue(silo, out List<int>? list)) bySilo[silo] = list = [];
                list.Add(index);
            }
        }

        KvError?[] errors = await Task.WhenAll(bySilo.Select(each => DeleteAsync(map, map.Silos[each.Key], each.Value, deadline)));
        return errors.FirstOrDefault(error => error is not null);
    }

    /// <summary>The other silos that may have blocks of a group: its holders, and all of them while blocks are being handed over.</summary>
    private List<int> SilosWith(ClusterMap map, BlockId group)
    {
        int self = map.IndexOf(cluster.Membership.Self.Name);
        if (cluster.Node.MayBeElsewhere(group)) return [.. Enumerable.Range(0, map.Silos.Count).Where(silo => silo != self)];
        Span<int> holders = stackalloc int[ClusterSettings.ReplicasMax + 1];
        int count = map.FindHolders(group, holders[..Math.Min(cluster.Node.CopiesOf(ns, group), holders.Length)]);
        var others = new List<int>(count);
        foreach (int holder in holders[..count])
        {
            if (holder != self) others.Add(holder);
        }

        return others;
    }

    private async Task<KvError?> DeleteAsync(ClusterMap map, SiloEntry to, List<int> indexes, TimeSpan deadline)
    {
        Result<ItemStatus[]> deleted = await cluster.Peers.DeleteAsync(
            to, ns, [.. indexes.Select(index => ids[index])], map.Epoch, deadline);
        if (!deleted.TryGet(out ItemStatus[]? there, out KvError? error)) return error;
        lock (statuses)
        {
            for (int i = 0; i < there.Length; i++)
            {
                if (there[i] == ItemStatus.Done) statuses[indexes[i]] = ItemStatus.Done;
            }
        }

        return null;
    }
}
