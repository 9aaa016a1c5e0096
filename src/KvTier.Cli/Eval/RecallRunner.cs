namespace KvTier.Cli;

/// <summary>Runs all steps of one selector or reference and judges them.</summary>
internal static class RecallRunner
{
    /// <summary>Runs and judges.</summary>
    /// <param name="exact">The truth.</param>
    /// <param name="source">Who chooses.</param>
    /// <param name="budget">Tokens for each KV head.</param>
    /// <param name="estimates">True when it adds an estimate of what it did not choose.</param>
    /// <param name="cancel">Ends it early.</param>
    public static async Task<RecallFigures> RunAsync(
        ExactAttention exact, IRecallSource source, int budget, bool estimates, CancellationToken cancel)
    {
        var judge = new RecallJudge(exact, budget, estimates);
        for (int step = 0; step < exact.Tensors.Steps; step++)
        {
            cancel.ThrowIfCancellationRequested();
            judge.Add(await source.RecallAsync(step, cancel));
        }

        return judge.Figures();
    }
}
