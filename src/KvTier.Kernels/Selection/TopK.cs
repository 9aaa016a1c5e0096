using System.Buffers;

namespace KvTier.Kernels;

/// <summary>
/// The k best of many scores. Ties go to the lower index; -0 and 0 tie; NaN is never chosen, minus infinity may be. The k-th best score is
/// found by counting digits (radix select), so that nothing is sorted but what is chosen, and that only where its order is asked for.
/// No allocation once the shared array pool is warm.
/// </summary>
public static class TopK
{
    private const int OnStack = 512;

    /// <summary>Finds the indexes of the k largest scores.</summary>
    /// <param name="scores">The scores.</param>
    /// <param name="k">How many, 0 or more.</param>
    /// <param name="indexes">Receives them, best first; room for k, or for all scores where they are fewer.</param>
    /// <returns>How many were found: k, or fewer when there are fewer scores that are numbers.</returns>
    /// <exception cref="ArgumentException">There is not enough room.</exception>
    public static int Select(ReadOnlySpan<float> scores, int k, Span<int> indexes)
    {
        int found = SelectUnordered(scores, k, indexes);
        if (found <= OnStack)
        {
            Sort(scores, indexes[..found], stackalloc ulong[found]);
            return found;
        }

        ulong[] pairs = ArrayPool<ulong>.Shared.Rent(found);
        Sort(scores, indexes[..found], pairs.AsSpan(0, found));
        ArrayPool<ulong>.Shared.Return(pairs);
        return found;
    }

    /// <summary>Finds the same indexes in ascending order of index, which costs less: the order in which chunks are read.</summary>
    /// <param name="scores">The scores.</param>
    /// <param name="k">How many, 0 or more.</param>
    /// <param name="indexes">Receives them; room for k, or for all scores where they are fewer.</param>
    /// <returns>How many were found: k, or fewer when there are fewer scores that are numbers.</returns>
    /// <exception cref="ArgumentException">There is not enough room.</exception>
    public static int SelectUnordered(ReadOnlySpan<float> scores, int k, Span<int> indexes)
    {
        Shapes.Require(indexes.Length, k < 0 ? -1 : Math.Min(k, scores.Length), nameof(indexes));
        if (k == 0 || scores.IsEmpty) return 0;
        Threshold threshold = k < scores.Length ? RadixSelect.Find(scores, k) : Threshold.Everything;
        return ThresholdFilter.Collect(scores, threshold, indexes);
    }

    /// <summary>Sorts chosen indexes, which ascend, by score: pairs of a falling key and the place make one number each.</summary>
    private static void Sort(ReadOnlySpan<float> scores, Span<int> indexes, Span<ulong> pairs)
    {
        for (int i = 0; i < indexes.Length; i++) pairs[i] = ((ulong)~MonotoneKey.Of(scores[indexes[i]]) << 32) | (uint)indexes[i];
        pairs.Sort();
        for (int i = 0; i < indexes.Length; i++) indexes[i] = (int)(uint)pairs[i];
    }
}
