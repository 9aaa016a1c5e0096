using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Attention over a sequence whose blocks lie on three silos against the same on one silo, over TCP.</summary>
internal sealed class ClusterAttendBench : IBenchGroup
{
    private const string OneSilo = "the same on one silo";
    private const string SequenceName = "long";
    private const int AppendBlocksMax = 1024;

    private static readonly Selector all = new()
    {
        Name = "all",
        Digest = new DigestSpec { Kind = DigestKind.Mean, ChunkTokens = RecallArrays.ChunkTokens },
        Budget = new RecallBudget(BudgetKind.Share, 1),
    };

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["cluster_attend_full", "cluster_attend_topk"];

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        ClusterRows.WithEtcdAsync(Names.Where(names.Contains), "us", OneSilo, () => MeasureAsync(context, names));

    private async Task<IReadOnlyList<BenchRow>> MeasureAsync(BenchContext context, IReadOnlySet<string> names)
    {
        RecallTensors tensors = RecallArrays.Make(context.Settings.RecallTokens / 2, 1).Tensors;
        var blocks = new TensorBlocks("bench", tensors);
        var descriptor = new NamespaceDescriptor("bench", blocks.Profile);
        long hostBytes = (2 * blocks.Bytes) + (64 << 20);
        await using ClusterSilos silos = await ClusterSilos.StartAsync(
            context, hostBytes, ClusterSilos.Standard, "--cluster-lease-ms", "15000");
        await using SiloProcess alone = await SiloProcess.StartAsync(ClusterSilos.MemoryArguments(context, hostBytes), context.Cancel);
        await using ClusterBlocks routed = await ClusterBlocks.ConnectAsync(silos, descriptor, context.Cancel);
        string owner = routed.OwnerOf(BlockGroups.OfSequence(descriptor.Id, SequenceName));
        await using KvTierClient toOwner = await ConnectAsync(silos.EndpointOf(owner), context.Cancel);
        await using KvTierClient toAlone = await ConnectAsync(alone.Endpoints["tcp"], context.Cancel);
        KvNamespace spread = (await toOwner.OpenNamespaceAsync(descriptor, context.Cancel)).OrFail();
        KvNamespace together = (await toAlone.OpenNamespaceAsync(descriptor, context.Cancel)).OrFail();
        int parts = await StoreAsync(blocks, routed);
        await blocks.StoreAsync(together, AckLevel.Memory, context.Cancel);
        KvSequence ours = await OpenAsync(blocks, spread, context.Cancel);
        KvSequence theirs = await OpenAsync(blocks, together, context.Cancel);
        int budget = Math.Min(context.Settings.RecallBudget, tensors.Tokens / 4);
        Selector some = all with { Name = "mean", Budget = RecallBudget.OfTokens(budget) };
        var rows = new List<BenchRow>();
        foreach ((string name, Selector selector) in Names.Zip([all, some]).Where(row => names.Contains(row.First)))
        {
            var own = new RecallCaller(tensors, selector, ours, RecallMode.Attend);
            var other = new RecallCaller(tensors, selector, theirs, RecallMode.Attend);
            double[] times = await context.MedianRatesAsync(
                async time => (await own.RunAsync(time, context.Cancel)).P50,
                async time => (await other.RunAsync(time, context.Cancel)).P50);
            double apart = await DifferenceAsync(own, other, context.Cancel);
            string note = $"{tensors.Tokens} tokens on {parts} silos, {(selector == all ? "all" : budget)} attended to; p50; "
                + $"the answers differ by {apart:0.0e-0}";
            rows.Add(BenchRow.Cost(name, 1e6 * times[0], "us", OneSilo, 1e6 * times[1], null, note));
        }

        return rows;
    }

    private static async Task<double> DifferenceAsync(RecallCaller own, RecallCaller other, CancellationToken cancel)
    {
        await own.RecallAsync(0, cancel);
        await other.RecallAsync(0, cancel);
        double most = 0;
        for (int i = 0; i < own.Output.Length; i++) most = Math.Max(most, Math.Abs(own.Output.Span[i] - other.Output.Span[i]));
        return most;
    }

    private static async Task<KvTierClient> ConnectAsync(string endpoint, CancellationToken cancel)
    {
        var options = new KvTierClientOptions
        {
            Endpoint = endpoint,
            Transport = TransportMode.Wire,
            ClientName = "kvtier-bench",
            RequestTimeout = TimeSpan.FromMinutes(2),
        };
        return (await KvTierClient.ConnectAsync(options, cancel)).OrFail();
    }

    /// <summary>Stores every block with the group of its run.</summary>
    /// <returns>Over how many silos they are spread.</returns>
    private static async Task<int> StoreAsync(TensorBlocks blocks, ClusterBlocks routed)
    {
        BlockId[] ids = IdsOf(blocks, routed.Namespace.IdOf);
        var groups = new BlockId[ids.Length];
        BlockGroups.Fill(ids, groups);
        byte[] payload = new byte[blocks.Profile.BlockBytes];
        for (int i = 0; i < ids.Length; i++)
        {
            blocks.Fill(i, payload);
            await routed.PutAsync(TensorBlocks.KeyOf(i), payload, group: groups[i]);
        }

        return groups.Select(routed.OwnerOf).Distinct(StringComparer.Ordinal).Count();
    }

    private static BlockId[] IdsOf(TensorBlocks blocks, Func<ReadOnlySpan<byte>, BlockId> idOf) =>
        [.. Enumerable.Range(0, blocks.Count).Select(i => idOf(TensorBlocks.KeyOf(i)))];

    private static async Task<KvSequence> OpenAsync(TensorBlocks blocks, KvNamespace ns, CancellationToken cancel)
    {
        KvSequence sequence = (await ns.OpenSequenceAsync(
            SequenceName, new SequenceOptions { Digests = [all.Digest] }, cancellationToken: cancel)).OrFail();
        BlockId[] ids = IdsOf(blocks, ns.IdOf);
        for (int at = 0; at < ids.Length; at += AppendBlocksMax)
        {
            int count = Math.Min(AppendBlocksMax, ids.Length - at);
            long tokens = Math.Min((long)count * TensorBlocks.BlockTokens, blocks.Tokens - ((long)at * TensorBlocks.BlockTokens));
            (await sequence.AppendAsync(ids.AsMemory(at, count), tokens, cancellationToken: cancel)).OrFail();
        }

        return sequence;
    }
}
