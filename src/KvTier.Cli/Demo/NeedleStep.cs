using System.Diagnostics;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>What became of the needle.</summary>
/// <param name="Found">True when recall chose its token and the attention has its value.</param>
/// <param name="Tier">Where its block lay before the recall.</param>
/// <param name="Tokens">Tokens of the context.</param>
/// <param name="Budget">Tokens that the recall chose at most, for each KV head.</param>
/// <param name="ReadBytes">Bytes of digests, K and V that it read.</param>
/// <param name="RecallMs">Time it took.</param>
internal sealed record NeedleReport(bool Found, string Tier, int Tokens, int Budget, long ReadBytes, double RecallMs);

/// <summary>
/// A needle at the start of a long context: stored before the chats, which push its block out of host memory, and looked for after them.
/// </summary>
internal sealed class NeedleStep
{
    private const int ContextTokens = 8192;
    private const int Budget = 1024;
    private const double FoundCosine = 0.9;
    private readonly RecallTensors tensors;
    private readonly TensorBlocks blocks;
    private readonly SiloRunner silo;
    private readonly KvSequence sequence;
    private readonly BlockId[] ids;

    private NeedleStep(RecallTensors tensors, TensorBlocks blocks, SiloRunner silo, KvSequence sequence, BlockId[] ids)
    {
        this.tensors = tensors;
        this.blocks = blocks;
        this.silo = silo;
        this.sequence = sequence;
        this.ids = ids;
    }

    /// <summary>Stores the context and opens its sequence.</summary>
    public static async Task<NeedleStep> PlantAsync(SiloRunner silo, KvTierClient client, CancellationToken cancel)
    {
        var made = new SyntheticOptions { Tokens = ContextTokens, KvHeads = 2, QueryHeads = 8, Steps = 1, NeedleDepths = [0] };
        RecallTensors context = RecallTensors.Of(SyntheticKv.Generate(made)).RoundTo(Dtype.Float16);
        var content = new TensorBlocks("needle", context);
        var descriptor = new NamespaceDescriptor("demo", content.Profile);
        KvNamespace ns = (await client.OpenNamespaceAsync(descriptor, cancel)).OrFail();
        BlockId[] stored = await content.StoreAsync(ns, AckLevel.Ssd, cancel);
        KvSequence opened = (await ns.OpenSequenceAsync("needle", cancellationToken: cancel)).OrFail();
        (await opened.AppendAsync(stored, content.Tokens, cancellationToken: cancel)).OrFail();
        return new NeedleStep(context, content, silo, opened, stored);
    }

    /// <summary>Asks for the needle.</summary>
    public async Task<NeedleReport> FindAsync(CancellationToken cancel)
    {
        Needle needle = tensors.Needles[0];
        int block = needle.Token / TensorBlocks.BlockTokens;
        ushort handle = silo.Engine.OpenNamespace(sequence.Namespace.Descriptor).OrFail();
        // A small run does not fill host memory: then the blocks are sent to the log by hand.
        foreach (BlockId id in ids) silo.Engine.Demote(handle, id);
        TierSet tier = silo.Engine.Describe(handle, ids[block]).Tiers;
        Selector selector = Selectors.Moments with { Budget = RecallBudget.OfTokens(Budget) };
        long begin = Stopwatch.GetTimestamp();
        StepChoice choice = await new ServiceRecall(tensors, selector, sequence).RecallAsync(needle.Step, cancel);
        TimeSpan took = Stopwatch.GetElapsedTime(begin);
        double[] planted = new double[tensors.HeadDim];
        double[] answered = new double[tensors.HeadDim];
        DoubleRows.Widen(needle.Value.Span, planted);
        DoubleRows.Widen(choice.Output.AsSpan(needle.QueryHead * tensors.HeadDim, tensors.HeadDim), answered);
        bool found = choice.Tokens[needle.KvHead].Contains(needle.Token) && DoubleRows.Cosine(planted, answered) > FoundCosine;
        return new NeedleReport(
            found, Units.Tiers(tier), blocks.Tokens, Budget, choice.Cost.DigestBytes + choice.Cost.KvBytes,
            Math.Round(took.TotalMilliseconds, 2));
    }
}
