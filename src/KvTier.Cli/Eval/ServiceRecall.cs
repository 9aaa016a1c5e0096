using System.Runtime.InteropServices;
using KvTier.Recall;

namespace KvTier.Cli;

/// <summary>A selector of the service: one recall a step, which says what was chosen and brings the attention over it.</summary>
internal sealed class ServiceRecall : IRecallSource
{
    private readonly RecallTensors tensors;
    private readonly Selector selector;
    private readonly Func<RecallRequest, ValueTask<Result<RecallAnswer>>> recall;
    private readonly string sequence;

    /// <summary>A selector over an open sequence.</summary>
    public ServiceRecall(
        RecallTensors tensors, Selector selector, Func<RecallRequest, ValueTask<Result<RecallAnswer>>> recall, string sequence)
    {
        this.tensors = tensors;
        this.selector = selector;
        this.recall = recall;
        this.sequence = sequence;
    }

    /// <inheritdoc/>
    public async Task<StepChoice> RecallAsync(int step, CancellationToken cancel)
    {
        var request = new RecallRequest
        {
            Namespace = 0,
            Mode = RecallMode.Attend,
            Selector = selector,
            QueryHeads = tensors.QueryHeads,
            Items = [new RecallItem { Sequence = sequence, Layer = 0, Queries = tensors.QueriesOf(step) }],
        };
        using RecallAnswer answer = (await recall(request)).OrFail();
        RecallItemAnswer item = answer.Items[0];
        if (item.Missing.Count > 0)
        {
            string reason = item.Missing[0].Reason.Name();
            throw new CliException(ExitCodes.Fault, $"eval: {item.Missing.Sum(run => run.Tokens)} tokens are missing: {reason}");
        }

        ReadOnlySpan<float> payload = MemoryMarshal.Cast<byte, float>(
            answer.Payload.Span.Slice((int)item.PayloadOffset, (int)item.PayloadLength));
        return new StepChoice(TokensOf(item), payload[..(tensors.QueryHeads * tensors.HeadDim)].ToArray(), item.Cost);
    }

    /// <summary>The tokens of the units chosen, by KV head.</summary>
    private int[][] TokensOf(RecallItemAnswer item)
    {
        int[][] tokens = new int[tensors.KvHeads][];
        int at = 0;
        for (int head = 0; head < tokens.Length; head++)
        {
            var chosen = new List<int>();
            foreach (int unit in item.Units.Span.Slice(at, item.Counts.Span[head]))
            {
                int first = unit * item.UnitTokens;
                for (int t = first; t < Math.Min(first + item.UnitTokens, tensors.Tokens); t++) chosen.Add(t);
            }

            at += item.Counts.Span[head];
            tokens[head] = [.. chosen];
        }

        return tokens;
    }
}
