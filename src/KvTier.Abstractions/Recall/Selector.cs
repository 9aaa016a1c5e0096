namespace KvTier;

/// <summary>How the scores of the G query heads of one KV head become one ranking. The numbers are part of the wire protocol.</summary>
public enum GroupReduction : byte
{
    /// <summary>The largest score counts.</summary>
    Max = 1,

    /// <summary>The sum of the scores counts.</summary>
    Sum = 2,

    /// <summary>The mean of the scores counts; ranks as the sum does.</summary>
    Mean = 3,

    /// <summary>Every head ranks by itself; the heads take turns until the budget is used up (A²ATS).</summary>
    Union = 4,
}

/// <summary>What limits the tokens chosen. The numbers are part of the wire protocol.</summary>
public enum BudgetKind : byte
{
    /// <summary>At most so many tokens for each KV head.</summary>
    Tokens = 1,

    /// <summary>At most this share of the sequence's tokens, above 0 to 1.</summary>
    Share = 2,

    /// <summary>Every unit whose estimated share of the attention of one of its tokens is above this threshold (Squeezed
    /// Attention).</summary>
    Threshold = 3,

    /// <summary>The fewest units whose estimated attention mass reaches this share, above 0 to 1.</summary>
    Mass = 4,
}

/// <summary>When an earlier choice is used again. The numbers are part of the wire protocol.</summary>
public enum ReuseKind : byte
{
    /// <summary>Every step chooses anew.</summary>
    None = 0,

    /// <summary>A choice serves n steps (LServe).</summary>
    EverySteps = 1,

    /// <summary>A choice serves until the mean cosine of a head's query with the one it was made for falls below a threshold (LouisKV).
    /// </summary>
    QueryCosine = 2,

    /// <summary>Every step chooses anew, by one query for the whole window, weighted by how unusual each one is (ActQKV).</summary>
    Probe = 3,
}

/// <summary>What limits the tokens chosen for each KV head, sinks and recent ones counted in.</summary>
/// <param name="Kind">How <paramref name="Value"/> is meant.</param>
/// <param name="Value">Tokens, share, threshold or mass.</param>
public readonly record struct RecallBudget(BudgetKind Kind, double Value)
{
    /// <summary>What a selector has that names no budget: 2,048 tokens, or all of a shorter sequence.</summary>
    public static RecallBudget Default { get; } = new(BudgetKind.Tokens, 2048) { OrAll = true };

    /// <summary>
    /// True when tokens above those of the sequence mean all of it; false when they are refused, as an explicit budget is. Default false.
    /// </summary>
    public bool OrAll { get; init; }

    /// <summary>At most so many tokens.</summary>
    public static RecallBudget OfTokens(int tokens) => new(BudgetKind.Tokens, tokens);
}

/// <summary>When an earlier choice is used again.</summary>
/// <param name="Kind">The rule.</param>
/// <param name="Value">Steps, or the cosine; 0 where the rule has none.</param>
public readonly record struct ReuseRule(ReuseKind Kind, double Value);

/// <summary>
/// How recall chooses: digest, score, reduction over the GQA group, budget, what is always in, and when a choice is used again. Data, not
/// code: each paper's rule is a preset in <see cref="Selectors"/>.
/// </summary>
public sealed record Selector
{
    /// <summary>Name of the preset that it began as.</summary>
    public required string Name { get; init; }

    /// <summary>The digest that is scored; the sequence must keep it.</summary>
    public required DigestSpec Digest { get; init; }

    /// <summary>Reduction over the query heads of a KV head. Default max.</summary>
    public GroupReduction Reduction { get; init; } = GroupReduction.Max;

    /// <summary>True to make each head's scores a softmax over all units, weighted by their tokens, before the reduction. Default
    /// true.</summary>
    public bool Softmax { get; init; } = true;

    /// <summary>What limits the tokens chosen. Default <see cref="RecallBudget.Default"/>: 2,048 tokens, or all of a shorter
    /// sequence.</summary>
    public RecallBudget Budget { get; init; } = RecallBudget.Default;

    /// <summary>First chunks that are always in. Default 1.</summary>
    public int SinkChunks { get; init; } = 1;

    /// <summary>Last chunks that are always in. Default 1.</summary>
    public int RecentChunks { get; init; } = 1;

    /// <summary>Fewest chunks chosen, whatever the budget (Quest: 3). Default 0.</summary>
    public int MinChunks { get; init; }

    /// <summary>First layers that are read whole (Quest: 2). Default 0.</summary>
    public int DenseLayers { get; init; }

    /// <summary>True to let what is not chosen contribute its estimate; needs a digest with values (moments, centroids). Default
    /// false.</summary>
    public bool Estimate { get; init; }

    /// <summary>With <see cref="Estimate"/>: share of the units that are estimated at most, best first (RetroInfer: 0.232). Default
    /// 1.</summary>
    public double EstimateShare { get; init; } = 1;

    /// <summary>When an earlier choice is used again. Default never.</summary>
    public ReuseRule Reuse { get; init; }

    /// <summary>Checks every field.</summary>
    /// <returns>Null when the selector can be used with the profile, else the first error.</returns>
    public KvError? Validate(ModelProfile profile)
    {
        if (Digest.Validate(profile) is { } wrongDigest) return wrongDigest;
        if (!Enum.IsDefined(Reduction)) return KvError.InvalidArgument("selector.reduce", Reduction, "max, sum, mean or union");
        if (ValidateBudget() is { } wrongBudget) return wrongBudget;
        if (SinkChunks < 0) return KvError.InvalidArgument("selector.sinkChunks", SinkChunks, "0 or more");
        if (RecentChunks < 0) return KvError.InvalidArgument("selector.recentChunks", RecentChunks, "0 or more");
        if (MinChunks < 0) return KvError.InvalidArgument("selector.minChunks", MinChunks, "0 or more");
        if (DenseLayers < 0) return KvError.InvalidArgument("selector.denseLayers", DenseLayers, "0 or more");
        if (Estimate && Digest.Kind is not (DigestKind.Moments or DigestKind.Centroids))
            return KvError.InvalidArgument("selector.estimate", true, "false unless the digest is moments or centroids");
        if (EstimateShare is not (> 0 and <= 1)) return KvError.InvalidArgument("selector.estimateShare", EstimateShare, "above 0, to 1");
        if (Estimate && Reuse.Kind == ReuseKind.Probe)
            return KvError.InvalidArgument("selector.estimate", true, "false with a probe query, which stands for no single query");
        return ValidateReuse();
    }

    private KvError? ValidateBudget() => Budget.Kind switch
    {
        BudgetKind.Tokens => Budget.Value is >= 1 and <= int.MaxValue && Budget.Value == Math.Floor(Budget.Value)
            ? null
            : KvError.InvalidArgument("selector.budget", Budget.Value, "a whole number of tokens, 1 or more"),
        BudgetKind.Share or BudgetKind.Mass => Budget.Value is > 0 and <= 1
            ? null
            : KvError.InvalidArgument("selector.budget", Budget.Value, "above 0, to 1"),
        BudgetKind.Threshold => Budget.Value is >= 0 and < 1
            ? null
            : KvError.InvalidArgument("selector.budget", Budget.Value, "0 to below 1"),
        _ => KvError.InvalidArgument("selector.budgetKind", Budget.Kind, "tokens, share, threshold or mass"),
    };

    private KvError? ValidateReuse() => Reuse.Kind switch
    {
        ReuseKind.None or ReuseKind.Probe => Reuse.Value == 0
            ? null
            : KvError.InvalidArgument("selector.reuse", Reuse.Value, "0 for this rule"),
        ReuseKind.EverySteps => Reuse.Value is >= 1 and <= 1024 && Reuse.Value == Math.Floor(Reuse.Value)
            ? null
            : KvError.InvalidArgument("selector.reuse", Reuse.Value, "1 to 1024 steps"),
        ReuseKind.QueryCosine => Reuse.Value is >= -1 and <= 1
            ? null
            : KvError.InvalidArgument("selector.reuse", Reuse.Value, "a cosine, -1 to 1"),
        _ => KvError.InvalidArgument("selector.reuseKind", Reuse.Kind, "none, everySteps, queryCosine or probe"),
    };
}
