namespace KvTier.Cli;

/// <summary>What a selector did at one step.</summary>
/// <param name="Tokens">The tokens chosen for each KV head (S), ascending, <c>[Hkv]</c> lists.</param>
/// <param name="Output">The attention that it gave, fp32 <c>[Hq, D]</c>.</param>
/// <param name="Cost">What it cost.</param>
internal sealed record StepChoice(int[][] Tokens, float[] Output, RecallCost Cost);
