namespace KvTier.Kernels;

/// <summary>The k best by a full sort, written to be read: what the selection is tested against.</summary>
internal static class ScalarTopK
{
    internal static int[] Select(ReadOnlySpan<float> scores, int k)
    {
        float[] copy = scores.ToArray();
        return [.. Enumerable.Range(0, copy.Length).Where(i => !float.IsNaN(copy[i])).OrderByDescending(i => copy[i]).Take(k)];
    }
}
