using KvTier.Client;

namespace KvTier.Cli;

/// <summary>A selector of the service: one recall a step, which says what was chosen and brings the attention over it.</summary>
internal sealed class ServiceRecall : IRecallSource
{
    private static readonly TimeSpan deadline = TimeSpan.FromMinutes(2);
    private readonly RecallTensors tensors;
    private readonly Selector selector;
    private readonly KvSequence sequence;

    /// <summary>A selector over an open sequence.</summary>
    public ServiceRecall(RecallTensors tensors, Selector selector, KvSequence sequence)
    {
        this.tensors = tensors;
        this.selector = selector;
        this.sequence = sequence;
    }

    /// <inheritdoc/>
    public async Task<StepChoice> RecallAsync(int step, CancellationToken cancel)
    {
        float[] output = new float[tensors.QueryHeads * tensors.HeadDim];
        var query = new RecallQuery
        {
            Mode = RecallMode.Attend,
            Selector = selector,
            QueryHeads = tensors.QueryHeads,
            Items =
            [
                new RecallQueryItem
                {
                    Sequence = sequence.Name,
                    Layer = 0,
                    Queries = tensors.QueriesOf(step),
                    Output = output,
                    Lse = new float[tensors.QueryHeads],
                },
            ],
        };
        RecallItemResult result = (await sequence.Namespace.RecallAsync(query, deadline, cancel)).OrFail()[0];
        if (result.Missing.Count > 0)
        {
            string reason = result.Missing[0].Reason.Name();
            throw new CliException(ExitCodes.Fault, $"eval: {result.Missing.Sum(run => run.Tokens)} tokens are missing: {reason}");
        }

        int[][] tokens = [.. Enumerable.Range(0, tensors.KvHeads).Select(head => TokensOf(result, head))];
        return new StepChoice(tokens, output, result.Cost);
    }

    /// <summary>The tokens of the units chosen for a KV head.</summary>
    private int[] TokensOf(RecallItemResult result, int kvHead)
    {
        var chosen = new List<int>();
        foreach (int unit in result.UnitsOf(kvHead))
        {
            int first = unit * result.UnitTokens;
            for (int t = first; t < Math.Min(first + result.UnitTokens, tensors.Tokens); t++) chosen.Add(t);
        }

        return [.. chosen];
    }
}
