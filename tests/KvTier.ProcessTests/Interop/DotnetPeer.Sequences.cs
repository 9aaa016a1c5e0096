using KvTier.Client;

namespace KvTier.ProcessTests.Interop;

/// <content>Sequences and recall.</content>
internal sealed partial class DotnetPeer
{
    /// <inheritdoc/>
    public async Task<string> SequenceOwnerAsync(string tenant, string name)
    {
        KvClusterNamespace ns = await OpenAsync(tenant, isModel: true);
        return HoldersOf(BlockGroups.OfSequence(ns.Id, name), 1).FirstOrDefault("");
    }

    /// <inheritdoc/>
    public async Task<string> AppendAsync(string tenant, string name, string[] keys, int tokens)
    {
        KvClusterNamespace ns = await OpenAsync(tenant, isModel: true);
        KvClusterSequence sequence = (await ns.OpenSequenceAsync(name, cancellationToken: TestSilo.Cancel)).Value;
        return Say((await sequence.AppendAsync(IdsOf(ns, keys), tokens, cancellationToken: TestSilo.Cancel)).Value);
    }

    /// <inheritdoc/>
    public async Task<string> SequenceAsync(string tenant, string name) => Say((await FindAsync(tenant, name)).Latest);

    /// <inheritdoc/>
    public async Task<string> ForkAsync(string tenant, string name, string into, int tokens) =>
        Say((await (await FindAsync(tenant, name)).ForkAsync(into, tokens, cancellationToken: TestSilo.Cancel)).Value.Latest);

    /// <inheritdoc/>
    public async Task CloseAsync(string tenant, string name) =>
        Assert.Null((await (await FindAsync(tenant, name)).CloseAsync(cancellationToken: TestSilo.Cancel)).Error);

    /// <inheritdoc/>
    public async Task<string[]> SequencesAsync(string tenant)
    {
        KvClusterNamespace ns = await OpenAsync(tenant, isModel: true);
        return [.. (await ns.ListSequencesAsync(cancellationToken: TestSilo.Cancel)).Value.Select(each => each.Name)];
    }

    /// <inheritdoc/>
    public async Task<Attention> AttendAsync(string tenant, string name, int layer, float[] queries, int tokens)
    {
        KvClusterNamespace ns = await OpenAsync(tenant, isModel: true);
        var output = new float[queries.Length];
        var lse = new float[Attention.QueryHeads];
        var query = new RecallQuery
        {
            Mode = RecallMode.Attend,
            Selector = Selectors.Moments with { Budget = RecallBudget.OfTokens(tokens) },
            QueryHeads = Attention.QueryHeads,
            Items = [new RecallQueryItem { Sequence = name, Layer = layer, Queries = queries, Output = output, Lse = lse }],
        };
        RecallItemResult result = (await ns.RecallAsync(query, cancellationToken: TestSilo.Cancel)).Value[0];
        return new Attention(output, lse, result.Missing.Count);
    }

    private static string Say(SequenceDescription sequence) => $"{sequence.Blocks} blocks, {sequence.Tokens} tokens";

    private async Task<KvClusterSequence> FindAsync(string tenant, string name)
    {
        KvClusterNamespace ns = await OpenAsync(tenant, isModel: true);
        return (await ns.FindSequenceAsync(name, cancellationToken: TestSilo.Cancel)).Value;
    }
}
