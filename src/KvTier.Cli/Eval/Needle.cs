namespace KvTier.Cli;

/// <summary>A token planted among the others, and the query that asks for it.</summary>
/// <param name="DepthPercent">Where it stands: 0 at the start, 100 at the end.</param>
/// <param name="KvHead">KV head that has it.</param>
/// <param name="QueryHead">Query head that asks.</param>
/// <param name="Token">The token.</param>
/// <param name="Step">The step at which it is asked for.</param>
/// <param name="Value">Its value, which the attention should bring, <c>[D]</c>.</param>
internal sealed record Needle(int DepthPercent, int KvHead, int QueryHead, int Token, int Step, ReadOnlyMemory<float> Value);
