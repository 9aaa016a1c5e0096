using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

/// <summary>Numbered blocks in a cluster, one at a time; each is its own group, or all are of one.</summary>
internal sealed class ClusterBlocks(KvClusterClient client, KvClusterNamespace blocks, BlockId group = default)
{
    public static async Task<ClusterBlocks> OpenAsync(KvClusterClient client) =>
        new(client, (await client.OpenNamespaceAsync(new NamespaceDescriptor("test", Profiles.Opaque), TestSilo.Cancel)).Value);

    /// <summary>The same, for blocks of a group that begins with one of them.</summary>
    public ClusterBlocks OfGroup(long first) => new(client, blocks, IdOf(first));

    public BlockId IdOf(long number) => blocks.IdOf(NumberedBlocks.Key(number));

    /// <summary>Name of the silo that owns a block, as this client knows the map.</summary>
    public string OwnerOf(long number) => client.Map!.Silos[client.Map.OwnerOf(IdOf(number))].Name;

    /// <summary>Puts a block.</summary>
    /// <returns>Null when it is acknowledged.</returns>
    public async Task<KvError?> PutAsync(long number, AckLevel ack)
    {
        var statuses = new PutStatus[1];
        var block = new PutBlock(NumberedBlocks.Key(number), NumberedBlocks.Bytes(number), Group: group);
        Result<PutSummary> result = await blocks.PutAsync(new[] { block }, statuses, new PutOptions { Ack = ack });
        if (!result.TryGet(out PutSummary summary, out KvError? error)) return error;
        return summary.Error ?? (statuses[0] == PutStatus.Refused ? new KvError(ErrorCode.Internal, "put", $"{number}", "a reason") : null);
    }

    /// <summary>Gets a block and compares its bytes.</summary>
    /// <returns>The outcome, and whether the bytes are its own.</returns>
    public async Task<(Result<BlockResult> Result, bool Right)> GetAsync(long number, byte[] buffer)
    {
        var results = new BlockResult[1];
        Result<GetSummary> answer = await blocks.GetAsync(new GetBlock[] { new(IdOf(number), buffer, Group: group) }, results);
        if (answer.Error is { } error) return (error, true);
        bool right = !results[0].IsHit || buffer.AsSpan(0, results[0].Length).SequenceEqual(NumberedBlocks.Bytes(number));
        return (results[0], right);
    }

    /// <summary>Reads blocks, comparing every byte.</summary>
    /// <returns>The numbers that are not there.</returns>
    public async Task<List<long>> MissingAsync(IEnumerable<long> numbers)
    {
        var missing = new List<long>();
        var buffer = new byte[40_000];
        foreach (long number in numbers)
        {
            (Result<BlockResult> result, bool right) = await GetAsync(number, buffer);
            Assert.True(right, $"block {number} has wrong bytes");
            if (!result.Value.IsHit) missing.Add(number);
        }

        return missing;
    }
}
