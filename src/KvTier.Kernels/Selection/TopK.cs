namespace KvTier.Kernels;

/// <summary>The k best of many scores. Ties go to the lower index; NaN is never chosen.</summary>
public static class TopK
{
    /// <summary>Finds the indexes of the k largest scores.</summary>
    /// <param name="scores">The scores.</param>
    /// <param name="k">How many, 0 or more.</param>
    /// <param name="indexes">Receives them, best first; room for k.</param>
    /// <returns>How many were found: k, or fewer when there are fewer scores that are numbers.</returns>
    public static int Select(ReadOnlySpan<float> scores, int k, Span<int> indexes)
    {
        float[] copy = scores.ToArray();
        int[] order = [.. Enumerable.Range(0, copy.Length).Where(i => !float.IsNaN(copy[i])).OrderByDescending(i => copy[i]).Take(k)];
        order.CopyTo(indexes);
        return order.Length;
    }
}
