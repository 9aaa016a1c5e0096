using KvTier.Kernels;

namespace KvTier.Cli;

/// <summary>
/// Attention over all tokens in double precision, once for all selectors and budgets: an independent judge, which shares no arithmetic with
/// the service but the choice of the n largest.
/// </summary>
internal sealed class ExactAttention
{
    private readonly ExactStep[] steps;

    private ExactAttention(RecallTensors tensors, int bestCount)
    {
        Tensors = tensors;
        BestCount = bestCount;
        steps = [.. Enumerable.Range(0, tensors.Steps).Select(_ => new ExactStep(
            GC.AllocateUninitializedArray<float>(tensors.QueryHeads * tensors.Tokens),
            new double[tensors.QueryHeads * tensors.HeadDim],
            new int[tensors.QueryHeads * bestCount]))];
    }

    /// <summary>Most bytes of probabilities that are held at one time.</summary>
    public static long BytesMax => 8L << 30;

    /// <summary>What it is of.</summary>
    public RecallTensors Tensors { get; }

    /// <summary>Tokens of largest p that are known of each head.</summary>
    public int BestCount { get; }

    /// <summary>The attention of a step.</summary>
    public ExactStep this[int step] => steps[step];

    /// <summary>Computes every step, on all processors.</summary>
    /// <param name="tensors">Keys, values and queries.</param>
    /// <param name="budgetMax">The largest budget that is judged, at most all tokens.</param>
    /// <param name="cancel">Ends it early.</param>
    /// <returns>The attention; <see cref="ErrorCode.LimitExceeded"/> when the probabilities would not fit.</returns>
    public static Result<ExactAttention> Compute(RecallTensors tensors, int budgetMax, CancellationToken cancel)
    {
        long bytes = (long)tensors.Steps * tensors.QueryHeads * tensors.Tokens * sizeof(float);
        if (bytes > BytesMax) return KvError.LimitExceeded("bytes of steps x query heads x tokens x 4", bytes, BytesMax);
        var exact = new ExactAttention(tensors, budgetMax);
        Parallel.For(
            0, tensors.Steps * tensors.KvHeads, new ParallelOptions { CancellationToken = cancel },
            i => exact.ComputeGroup(i / tensors.KvHeads, i % tensors.KvHeads));
        return exact;
    }

    /// <summary>Attention over some tokens only, renormalised over them, in double precision.</summary>
    /// <param name="step">The step.</param>
    /// <param name="queryHead">The query head.</param>
    /// <param name="tokens">The tokens.</param>
    /// <param name="output">Receives o, <c>[D]</c>: zero when their p is zero.</param>
    public void OutputOf(int step, int queryHead, ReadOnlySpan<int> tokens, Span<double> output)
    {
        int dim = Tensors.HeadDim;
        ReadOnlySpan<float> values = Tensors.Rows(Tensors.Values, queryHead / Tensors.Group);
        ReadOnlySpan<float> p = steps[step].Probabilities.AsSpan(queryHead * Tensors.Tokens, Tensors.Tokens);
        Span<double> row = stackalloc double[dim];
        output.Clear();
        double mass = 0;
        foreach (int token in tokens)
        {
            if (p[token] == 0) continue;
            DoubleRows.Widen(values.Slice(token * dim, dim), row);
            DoubleRows.AddScaled(output, p[token], row);
            mass += p[token];
        }

        for (int j = 0; j < dim && mass > 0; j++) output[j] /= mass;
    }

    /// <summary>The G query heads of one KV head: their keys and values are read once for all of them.</summary>
    private void ComputeGroup(int step, int kvHead)
    {
        (int group, int dim, int tokens) = (Tensors.Group, Tensors.HeadDim, Tensors.Tokens);
        double[] queries = new double[group * dim];
        DoubleRows.Widen(Tensors.QueriesOf(step).Span.Slice(kvHead * group * dim, group * dim), queries);
        double[] weights = new double[group * tokens];
        Logits(Tensors.Rows(Tensors.Keys, kvHead), queries, weights);
        Span<double> output = steps[step].Output.AsSpan(kvHead * group * dim, group * dim);
        for (int g = 0; g < group; g++) Softmax(weights.AsSpan(g * tokens, tokens));
        ReadOnlySpan<float> values = Tensors.Rows(Tensors.Values, kvHead);
        double[] row = new double[dim];
        for (int t = 0; t < tokens; t++)
        {
            DoubleRows.Widen(values.Slice(t * dim, dim), row);
            for (int g = 0; g < group; g++)
            {
                double weight = weights[(g * tokens) + t];
                if (weight > 0) DoubleRows.AddScaled(output.Slice(g * dim, dim), weight, row);
            }
        }

        for (int g = 0; g < group; g++)
        {
            int head = (kvHead * group) + g;
            Span<float> p = steps[step].Probabilities.AsSpan(head * tokens, tokens);
            for (int t = 0; t < tokens; t++) p[t] = (float)weights[(g * tokens) + t];
            TopK.Select(p, BestCount, steps[step].Best.AsSpan(head * BestCount, BestCount));
        }
    }

    private void Logits(ReadOnlySpan<float> keys, ReadOnlySpan<double> queries, Span<double> logits)
    {
        (int group, int dim, int tokens) = (Tensors.Group, Tensors.HeadDim, Tensors.Tokens);
        double scale = 1 / Math.Sqrt(dim);
        double[] row = new double[dim];
        for (int t = 0; t < tokens; t++)
        {
            DoubleRows.Widen(keys.Slice(t * dim, dim), row);
            for (int g = 0; g < group; g++) logits[(g * tokens) + t] = scale * DoubleRows.Dot(queries.Slice(g * dim, dim), row);
        }
    }

    private static void Softmax(Span<double> logits)
    {
        double max = double.NegativeInfinity;
        foreach (double logit in logits)
        {
            if (double.IsFinite(logit) && logit > max) max = logit;
        }

        double sum = 0;
        for (int t = 0; t < logits.Length; t++)
        {
            double weight = double.IsFinite(logits[t]) ? Math.Exp(logits[t] - max) : 0;
            logits[t] = weight;
            sum += weight;
        }

        for (int t = 0; t < logits.Length && sum > 0; t++) logits[t] /= sum;
    }
}
