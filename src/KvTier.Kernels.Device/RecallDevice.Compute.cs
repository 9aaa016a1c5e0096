namespace KvTier.Kernels.Device;

/// <summary>How the scores of a row's queries become one.</summary>
public enum ScoreReduction : byte
{
    /// <summary>They do not: scores stay <c>[queries, rows]</c>.</summary>
    None = 0,

    /// <summary>Their maximum.</summary>
    Max = 1,

    /// <summary>Their sum.</summary>
    Sum = 2,

    /// <summary>Their mean.</summary>
    Mean = 3,
}

/// <summary>Requests that compute. Each runs until its result is there, or answers with an error.</summary>
public sealed partial class RecallDevice
{
    /// <summary>Scores rows against queries.</summary>
    /// <param name="batch">Rows and queries.</param>
    /// <param name="scores">The result, <c>[batch.Queries, batch.Rows]</c>.</param>
    /// <returns>Null, or what was wrong or failed; then the scores mean nothing.</returns>
    public KvError? Score(in ScoreBatch batch, Span<float> scores)
    {
        if (batch.Validate(session.Memory) is { } invalid) return invalid;
        if (scores.Length != batch.Queries * batch.Rows)
            return KvError.InvalidArgument("score.scores", scores.Length, $"{batch.Queries} x {batch.Rows}");
        if (session.Enter() is { } refused) return refused;
        try
        {
            if (!ScorePlan.Make(session.Scratch, batch).TryGet(out ScorePlan plan, out KvError? error)) return error;
            if (scores.Length == 0) return null;
            long inputBytes = session.Scratch.UsedBytes;
            long scoresAt = session.Scratch.Take<float>(scores.Length);
            error = session.Scratch.Overflow ?? session.Upload(inputBytes) ?? plan.Run(session, batch, scoresAt, isLast: true)
                ?? session.Download(scoresAt, (long)scores.Length * sizeof(float));
            if (error is null) session.Scratch.Host<float>(scoresAt, scores.Length).CopyTo(scores);
            return error;
        }
        finally
        {
            session.Exit();
        }
    }

    /// <summary>Scores rows and chooses the best of some lists of them, all on the device.</summary>
    /// <param name="batch">Rows and queries.</param>
    /// <param name="reduction">How the queries' scores of a row become one.</param>
    /// <param name="lists">Lists of scores: of rows after a reduction; without one, of <c>[queries, rows]</c>.</param>
    /// <param name="k">How many to choose from each, 1 to 65,536.</param>
    /// <param name="indices">The chosen, <c>[lists, k]</c>, counted from the start of their list: higher scores first, among equals the
    /// lower index first, NaN never; -1 where a list has no more.</param>
    /// <param name="values">Their scores, <c>[lists, k]</c>, NaN beside -1; or empty.</param>
    /// <returns>Null, or what was wrong or failed; then the results mean nothing.</returns>
    public KvError? ScoreTopK(
        in ScoreBatch batch, ScoreReduction reduction, ReadOnlySpan<ScoreList> lists, int k, Span<int> indices, Span<float> values)
    {
        if (reduction > ScoreReduction.Mean) return KvError.InvalidArgument("score.reduction", reduction, "none, max, sum or mean");
        if (batch.Validate(session.Memory) is { } invalid) return invalid;
        long count = batch.Rows * (reduction == ScoreReduction.None ? batch.Queries : 1);
        if (TopKPlan.Validate(lists, k, count, indices.Length, values.Length) is { } wrong) return wrong;
        if (session.Enter() is { } refused) return refused;
        try
        {
            Scratch scratch = session.Scratch;
            if (!ScorePlan.Make(scratch, batch).TryGet(out ScorePlan plan, out KvError? error)) return error;
            if (!TopKPlan.Make(scratch, lists, k).TryGet(out TopKPlan best, out error)) return error;
            if (lists.Length == 0) return null;
            long inputBytes = scratch.UsedBytes;
            long scoresAt = scratch.Take<float>((long)plan.Rows * batch.Queries);
            long keysAt = best.TakeKeys(scratch);
            error = scratch.Overflow ?? session.Upload(inputBytes) ?? plan.Run(session, batch, scoresAt, isLast: false);
            if (error is null && reduction != ScoreReduction.None && batch.Queries > 1 && plan.Rows > 0)
                error = StartReduction(scoresAt, batch.Queries, plan.Rows, reduction);
            return error ?? best.Run(session, scoresAt, keysAt, indices, values);
        }
        finally
        {
            session.Exit();
        }
    }

    /// <summary>Chooses the best of some lists of scores that lie on the host.</summary>
    /// <param name="scores">The scores.</param>
    /// <param name="lists">The lists.</param>
    /// <param name="k">How many to choose from each, 1 to 65,536.</param>
    /// <param name="indices">As in <see cref="ScoreTopK"/>.</param>
    /// <param name="values">As in <see cref="ScoreTopK"/>.</param>
    /// <returns>Null, or what was wrong or failed; then the results mean nothing.</returns>
    public KvError? TopK(ReadOnlySpan<float> scores, ReadOnlySpan<ScoreList> lists, int k, Span<int> indices, Span<float> values)
    {
        if (TopKPlan.Validate(lists, k, scores.Length, indices.Length, values.Length) is { } wrong) return wrong;
        if (session.Enter() is { } refused) return refused;
        try
        {
            Scratch scratch = session.Scratch;
            if (!TopKPlan.Make(scratch, lists, k).TryGet(out TopKPlan best, out KvError? error)) return error;
            if (lists.Length == 0) return null;
            long scoresAt = scratch.Take<float>(scores.Length);
            long inputBytes = scratch.UsedBytes;
            long keysAt = best.TakeKeys(scratch);
            if (scratch.Overflow is { } overflow) return overflow;
            scores.CopyTo(scratch.Host<float>(scoresAt, scores.Length));
            return session.Upload(inputBytes) ?? best.Run(session, scoresAt, keysAt, indices, values);
        }
        finally
        {
            session.Exit();
        }
    }

    /// <summary>Computes partial attention.</summary>
    /// <param name="batch">Queries, groups and chunks.</param>
    /// <param name="outputs">o, <c>[n, D]</c>, normalised; zeros for a query whose group has no tokens or that is in no group.</param>
    /// <param name="lses">lse, <c>[n]</c>, to base e; -inf where there are no tokens.</param>
    /// <returns>Null, or what was wrong or failed; then the results mean nothing.</returns>
    public KvError? Attend(in AttendBatch batch, Span<float> outputs, Span<float> lses)
    {
        if (batch.Validate(session.Memory, outputs.Length, lses.Length) is { } invalid) return invalid;
        if (session.Enter() is { } refused) return refused;
        try
        {
            if (outputs.Length == 0) return null;
            return AttendPlan.Make(session, batch, out AttendPlan plan) ?? plan.Run(session, batch, outputs, lses);
        }
        finally
        {
            session.Exit();
        }
    }

    private KvError? StartReduction(long scoresAt, int queries, int rows, ScoreReduction reduction)
    {
        const int Lanes = 128;
        ReadOnlySpan<KernelArgument> arguments = [session.Scratch.Buffer, scoresAt, queries, rows, (int)reduction];
        var launch = new KernelLaunch
        {
            Kernel = DeviceKernel.Reduce,
            Dtype = Dtype.Raw,
            Groups = (rows + Lanes - 1) / Lanes,
            GroupSize = Lanes,
            Arguments = arguments,
        };
        return session.Start(launch);
    }
}
