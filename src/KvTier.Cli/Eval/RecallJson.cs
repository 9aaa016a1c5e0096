namespace KvTier.Cli;

/// <summary>Evaluations as JSON: one flat object for a selector, a list of them for a comparison.</summary>
internal static class RecallJson
{
    /// <summary>One selector at one budget.</summary>
    public static object Of(RecallCase about, Selector selector, RecallRow row) => new
    {
        about.Source,
        about.Tokens,
        about.KvHeads,
        about.QueryHeads,
        about.HeadDim,
        about.Steps,
        about.Dtype,
        about.Tier,
        about.KvBytes,
        row.Selector,
        Digest = selector.Digest.Kind,
        Form = selector.Digest.Form switch { DigestForm.Float32 => "fp32", DigestForm.Int8 => "int8", _ => "fp16" },
        row.ChunkTokens,
        Reduce = selector.Reduction,
        selector.Softmax,
        selector.SinkChunks,
        selector.RecentChunks,
        selector.Digest.OutlierChunks,
        selector.Estimate,
        row.Budget,
        row.Figures.RecallAtK,
        row.Figures.MassRecall,
        row.Figures.MassRecallOfBest,
        row.Figures.OutputRelativeL2,
        row.Figures.OutputCosine,
        row.Figures.ChunksScored,
        row.Figures.BytesRead,
        row.Figures.BytesReadShare,
        row.Figures.Jaccard,
        row.Figures.TokensChosen,
        row.Figures.SsdBytes,
        row.Figures.ReusedSteps,
        row.Figures.AttendError,
        row.Figures.QuarantinedChunks,
        row.Figures.DeviceBytes,
        row.Figures.Needles,
    };

    /// <summary>All selectors and budgets.</summary>
    public static object Of(RecallCase about, IReadOnlyList<RecallRow> rows) => new
    {
        about.Source,
        about.Tokens,
        about.KvHeads,
        about.QueryHeads,
        about.HeadDim,
        about.Steps,
        about.Dtype,
        about.Tier,
        about.KvBytes,
        Rows = rows.Select(row => new
        {
            row.Selector,
            row.ChunkTokens,
            row.Budget,
            row.Figures.RecallAtK,
            row.Figures.MassRecall,
            row.Figures.MassRecallOfBest,
            row.Figures.OutputRelativeL2,
            row.Figures.OutputCosine,
            row.Figures.ChunksScored,
            row.Figures.BytesRead,
            row.Figures.BytesReadShare,
            row.Figures.Jaccard,
            row.Figures.TokensChosen,
            row.Figures.SsdBytes,
            row.Figures.ReusedSteps,
            row.Figures.AttendError,
            row.Figures.Needles,
        }),
    };
}
