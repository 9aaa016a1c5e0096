namespace KvTier.Cli;

/// <summary>The true attention of one step, which choices are judged by.</summary>
/// <param name="Probabilities">p = softmax(q·k / √D) over all tokens, <c>[Hq, T]</c>; 0 for a token whose logit is no finite
/// number.</param>
/// <param name="Output">o, <c>[Hq, D]</c>.</param>
/// <param name="Best">The tokens of largest p, largest first, ties to the lower token, <c>[Hq, n]</c>.</param>
internal sealed record ExactStep(float[] Probabilities, double[] Output, int[] Best);
