namespace KvTier.Cli;

/// <summary>Adds up what a selector did, step by step, against the exact attention.</summary>
internal sealed class RecallJudge
{
    private readonly RecallTensors tensors;
    private readonly bool estimates;
    private readonly HeadJudge[] heads;
    private int steps;
    private int reused;
    private double scored;
    private double bytes;
    private double ssd;

    /// <summary>A judge of one selector at one budget.</summary>
    /// <param name="exact">The truth.</param>
    /// <param name="budget">Tokens, at most those that <paramref name="exact"/> knows the best of.</param>
    /// <param name="estimates">True when the selector adds an estimate of what it did not choose.</param>
    public RecallJudge(ExactAttention exact, int budget, bool estimates)
    {
        this.estimates = estimates;
        tensors = exact.Tensors;
        heads = [.. Enumerable.Range(0, tensors.KvHeads).Select(kvHead => new HeadJudge(exact, kvHead, budget))];
    }

    /// <summary>Takes the next step.</summary>
    public void Add(StepChoice choice)
    {
        int step = steps++;
        Parallel.For(0, heads.Length, kvHead => heads[kvHead].Add(step, choice));
        scored += choice.Cost.UnitsScored;
        bytes += choice.Cost.DigestBytes + choice.Cost.KvBytes;
        ssd += choice.Cost.SsdBytes;
        if (choice.Cost.Reused) reused++;
    }

    /// <summary>The figures of all steps taken.</summary>
    public RecallFigures Figures()
    {
        double queries = (double)steps * tensors.QueryHeads;
        double groups = (double)steps * tensors.KvHeads;
        bool numbers = !Array.Exists(heads, head => head.NotNumbers > 0);
        return new RecallFigures
        {
            RecallAtK = heads.Sum(head => head.Recall) / queries,
            MassRecall = heads.Sum(head => head.Mass) / queries,
            MassRecallOfBest = heads.Sum(head => head.MassOfBest) / queries,
            OutputRelativeL2 = numbers ? Finite(heads.Sum(head => head.Relative) / queries) : null,
            OutputCosine = numbers ? heads.Sum(head => head.Cosine) / queries : null,
            ChunksScored = scored / steps,
            BytesRead = bytes / steps,
            BytesReadShare = bytes / steps / tensors.StoredBytes,
            Jaccard = steps > 1 ? heads.Sum(head => head.Jaccard) / (groups - tensors.KvHeads) : null,
            TokensChosen = heads.Sum(head => head.Chosen) / groups,
            SsdBytes = ssd / steps,
            ReusedSteps = reused,
            AttendError = numbers && !estimates ? Finite(heads.Max(head => head.AttendError)) : null,
            Needles = [.. heads.SelectMany(head => head.Needles).GroupBy(needle => needle.DepthPercent).OrderBy(depth => depth.Key)
                .Select(depth => new NeedleFigures(depth.Key, depth.Count(), depth.Average(needle => needle.Found ? 1.0 : 0)))],
        };
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
