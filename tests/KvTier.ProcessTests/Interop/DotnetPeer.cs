using System.Text;
using KvTier.Client;

namespace KvTier.ProcessTests.Interop;

/// <summary>The client in .NET.</summary>
internal sealed partial class DotnetPeer(KvClusterClient client) : IPeer
{
    private readonly Dictionary<string, BlockLease[]> leases = [];

    /// <inheritdoc/>
    public string Name => ".NET";

    /// <inheritdoc/>
    public async Task<string[]> PutAsync(BlockSet blocks, bool overwrite = false)
    {
        KvClusterNamespace ns = await OpenAsync(blocks.Tenant, blocks.IsModel);
        BlockId[] groups = GroupsOf(ns, blocks);
        PutBlock[] puts =
            [.. blocks.Keys.Select((key, i) => new PutBlock(KeyOf(key), BytesOf(blocks, key), Group: groups.ElementAtOrDefault(i)))];
        var statuses = new PutStatus[puts.Length];
        Result<PutSummary> answer = await ns.PutAsync(puts, statuses, new PutOptions { Overwrite = overwrite }, TestSilo.Cancel);
        if (answer.Error is { } error) return [$"error {error.Field}"];
        return [.. statuses.Select(status => status.ToString().ToLowerInvariant())];
    }

    /// <inheritdoc/>
    public async Task<string[]> GetAsync(BlockSet blocks)
    {
        KvClusterNamespace ns = await OpenAsync(blocks.Tenant, blocks.IsModel);
        BlockId[] groups = GroupsOf(ns, blocks);
        byte[][] right = [.. blocks.Keys.Select(key => BytesOf(blocks, key))];
        GetBlock[] gets = [.. blocks.Keys.Select(
            (key, i) => new GetBlock(ns.IdOf(KeyOf(key)), new byte[right[i].Length], Group: groups.ElementAtOrDefault(i)))];
        var results = new BlockResult[gets.Length];
        Result<GetSummary> answer = await ns.GetAsync(gets, results, cancellationToken: TestSilo.Cancel);
        if (answer.Error is { } error) return [$"error {error.Field}"];
        return [.. results.Select((result, i) => !result.IsHit ? result.Reason.Name()
            : gets[i].Destination.Span[..result.Length].SequenceEqual(right[i]) ? "right" : "wrong")];
    }

    /// <inheritdoc/>
    public async Task<string[]> DeleteAsync(BlockSet blocks)
    {
        KvClusterNamespace ns = await OpenAsync(blocks.Tenant, blocks.IsModel);
        var done = new bool[blocks.Keys.Length];
        Assert.Null((await ns.DeleteAsync(IdsOf(ns, blocks.Keys), GroupsOf(ns, blocks), done, cancellationToken: TestSilo.Cancel)).Error);
        return [.. done.Select(each => each.ToString())];
    }

    /// <inheritdoc/>
    public async Task<string[]> LeaseAsync(string name, BlockSet blocks)
    {
        KvClusterNamespace ns = await OpenAsync(blocks.Tenant, blocks.IsModel);
        var granted = new BlockLease[blocks.Keys.Length];
        Result<int> answer = await ns.LeaseAsync(
            IdsOf(ns, blocks.Keys), granted, GroupsOf(ns, blocks), cancellationToken: TestSilo.Cancel);
        if (answer.Error is { } error) return [$"error {error.Field}"];
        leases.Add(name, granted);
        return await LeasedAsync(name, blocks);
    }

    /// <inheritdoc/>
    public Task<string[]> LeasedAsync(string name, BlockSet blocks) => Task.FromResult<string[]>(
    [
        .. leases[name].Select((lease, i) =>
        {
            if (!lease.IsHit) return lease.Reason.Name();
            bool isRight = lease.Memory.Span.SequenceEqual(BytesOf(blocks, blocks.Keys[i]));
            return !lease.Verify() ? "void" : isRight ? "right" : "wrong";
        }),
    ]);

    /// <inheritdoc/>
    public Task ReleaseAsync(string name)
    {
        leases.Remove(name, out BlockLease[]? ended);
        foreach (BlockLease lease in ended!) lease.Dispose();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task<string[]> PlacementAsync(BlockSet blocks, int copies)
    {
        KvClusterNamespace ns = await OpenAsync(blocks.Tenant, blocks.IsModel);
        BlockId[] ids = IdsOf(ns, blocks.Keys);
        BlockId[] groups = blocks.Prefix is null ? ids : GroupsOf(ns, blocks);
        return [.. ids.Select((id, i) => $"{id} {groups[i]} {string.Join(' ', HoldersOf(groups[i], copies))}".TrimEnd())];
    }

    private static byte[] KeyOf(string key) => Encoding.UTF8.GetBytes(key);

    private static BlockId[] IdsOf(KvClusterNamespace ns, string[] keys) => [.. keys.Select(key => ns.IdOf(KeyOf(key)))];

    private static byte[] BytesOf(BlockSet blocks, string key) =>
        blocks.IsModel ? PeerBytes.ModelBlock(key, blocks.Salt) : PeerBytes.Of(key, blocks.Salt, blocks.Length);

    /// <summary>The group of each block; empty when each is by itself.</summary>
    private static BlockId[] GroupsOf(KvClusterNamespace ns, BlockSet blocks)
    {
        if (blocks.Prefix is null) return [];
        BlockId[] ids = IdsOf(ns, blocks.Prefix);
        var groups = new BlockId[ids.Length];
        BlockGroups.Fill(ids, groups);
        return [.. blocks.Keys.Select(key => groups[Array.IndexOf(blocks.Prefix, key)])];
    }

    private string[] HoldersOf(BlockId group, int copies)
    {
        ClusterMap map = client.Map!;
        if (map.Epoch == 0) return [];
        var found = new int[copies];
        int count = map.FindHolders(group, found);
        return [.. found[..count].Select(silo => map.Silos[silo].Name)];
    }

    private async Task<KvClusterNamespace> OpenAsync(string tenant, bool isModel) => (await client.OpenNamespaceAsync(
        new NamespaceDescriptor(tenant, isModel ? PeerBytes.Model : Profiles.Opaque), TestSilo.Cancel)).Value;
}
