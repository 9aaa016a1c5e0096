namespace KvTier.Cli;

/// <summary>The sums of one KV head and of the query heads that read it.</summary>
internal sealed class HeadJudge
{
    /// <summary>The output has a needle's value from this cosine on.</summary>
    private const double NeedleCosine = 0.9;

    private readonly ExactAttention exact;
    private readonly RecallTensors tensors;
    private readonly int kvHead;
    private readonly int budget;
    private readonly bool[] isChosen;
    private readonly double[] own;
    private readonly double[] theirs;
    private readonly List<(int DepthPercent, bool Found)> needles = [];
    private int[]? before;

    /// <summary>Nothing added up yet.</summary>
    public HeadJudge(ExactAttention exact, int kvHead, int budget)
    {
        this.exact = exact;
        this.kvHead = kvHead;
        this.budget = budget;
        tensors = exact.Tensors;
        isChosen = new bool[tensors.Tokens];
        own = new double[tensors.HeadDim];
        theirs = new double[tensors.HeadDim];
    }

    /// <summary>Σ |S ∩ best| / budget.</summary>
    public double Recall { get; private set; }

    /// <summary>Σ p over S.</summary>
    public double Mass { get; private set; }

    /// <summary>Σ (Σ p over S / Σ p over the best).</summary>
    public double MassOfBest { get; private set; }

    /// <summary>Σ ‖o - o_S‖ / ‖o‖.</summary>
    public double Relative { get; private set; }

    /// <summary>Σ cosine of o and o_S.</summary>
    public double Cosine { get; private set; }

    /// <summary>Σ |S_t ∩ S_t+1| / |S_t ∪ S_t+1|.</summary>
    public double Jaccard { get; private set; }

    /// <summary>Σ |S|.</summary>
    public double Chosen { get; private set; }

    /// <summary>Largest difference between the service's output and the judge's own over the same tokens.</summary>
    public double AttendError { get; private set; }

    /// <summary>Outputs with a NaN or an infinity.</summary>
    public int NotNumbers { get; private set; }

    /// <summary>The needles asked for, and whether they were found.</summary>
    public IReadOnlyList<(int DepthPercent, bool Found)> Needles => needles;

    /// <summary>Takes a step.</summary>
    public void Add(int step, StepChoice choice)
    {
        int[] tokens = choice.Tokens[kvHead];
        isChosen.AsSpan().Clear();
        foreach (int token in tokens) isChosen[token] = true;
        for (int head = kvHead * tensors.Group; head < (kvHead + 1) * tensors.Group; head++)
        {
            DoubleRows.Widen(choice.Output.AsSpan(head * tensors.HeadDim, tensors.HeadDim), theirs);
            AddMass(step, head, tokens);
            AddOutput(step, head, tokens);
            AddNeedles(step, head);
        }

        Chosen += tokens.Length;
        if (before is not null) Jaccard += JaccardOf(before, tokens);
        before = tokens;
    }

    private void AddMass(int step, int head, int[] tokens)
    {
        ReadOnlySpan<float> p = exact[step].Probabilities.AsSpan(head * tensors.Tokens, tensors.Tokens);
        double mass = 0;
        foreach (int token in tokens) mass += p[token];
        (double bestMass, int found) = (0, 0);
        foreach (int token in exact[step].Best.AsSpan(head * exact.BestCount, budget))
        {
            bestMass += p[token];
            if (isChosen[token]) found++;
        }

        Recall += (double)found / budget;
        Mass += mass;
        MassOfBest += mass / bestMass;
    }

    private void AddOutput(int step, int head, int[] tokens)
    {
        if (Array.Exists(theirs, value => !double.IsFinite(value)))
        {
            NotNumbers++;
            return;
        }

        ReadOnlySpan<double> truth = exact[step].Output.AsSpan(head * tensors.HeadDim, tensors.HeadDim);
        exact.OutputOf(step, head, tokens, own);
        Relative += DoubleRows.RelativeL2(truth, theirs);
        Cosine += DoubleRows.Cosine(truth, theirs);
        AttendError = Math.Max(AttendError, DoubleRows.RelativeL2(own, theirs));
    }

    private void AddNeedles(int step, int head)
    {
        foreach (Needle needle in tensors.Needles)
        {
            if (needle.Step != step || needle.QueryHead != head) continue;
            DoubleRows.Widen(needle.Value.Span, own);
            needles.Add((needle.DepthPercent, isChosen[needle.Token] && DoubleRows.Cosine(own, theirs) > NeedleCosine));
        }
    }

    /// <summary>|a ∩ b| / |a ∪ b| of two ascending lists; 1 when both are empty.</summary>
    private static double JaccardOf(int[] a, int[] b)
    {
        (int i, int j, int both) = (0, 0, 0);
        while (i < a.Length && j < b.Length)
        {
            int order = a[i].CompareTo(b[j]);
            if (order == 0) both++;
            if (order <= 0) i++;
            if (order >= 0) j++;
        }

        int all = a.Length + b.Length - both;
        return all == 0 ? 1 : (double)both / all;
    }
}
