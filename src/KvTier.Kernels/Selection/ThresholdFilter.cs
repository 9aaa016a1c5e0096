namespace KvTier.Kernels;

/// <summary>Collects the indexes of scores above a threshold, in ascending order. Vectors without any are passed over.</summary>
internal static class ThresholdFilter
{
    internal static int Collect(ReadOnlySpan<float> scores, Threshold threshold, Span<int> indexes)
    {
        if (Lanes512.IsSupported) return Collect<Lanes512, Vector512<float>>(scores, threshold, indexes);
        if (Lanes256.IsSupported) return Collect<Lanes256, Vector256<float>>(scores, threshold, indexes);
        if (Lanes128.IsSupported) return Collect<Lanes128, Vector128<float>>(scores, threshold, indexes);
        int count = 0, ties = threshold.Ties;
        CollectScalar(scores, 0, threshold.Score, ref ties, indexes, ref count);
        return count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static int Collect<TLanes, TVector>(ReadOnlySpan<float> scores, Threshold threshold, Span<int> indexes)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        ref float first = ref MemoryMarshal.GetReference(scores);
        TVector limit = TLanes.Create(threshold.Score);
        int count = 0, ties = threshold.Ties, i = 0;
        for (; i <= scores.Length - TLanes.Count; i += TLanes.Count)
        {
            TVector piece = TLanes.Load(ref Unsafe.Add(ref first, i));
            uint above = TLanes.Mask(TLanes.Less(limit, piece));
            uint chosen = above | (ties > 0 ? Ties(TLanes.Mask(TLanes.Equal(limit, piece)), ref ties) : 0);
            for (; chosen != 0; chosen &= chosen - 1) indexes[count++] = i + System.Numerics.BitOperations.TrailingZeroCount(chosen);
        }

        CollectScalar(scores, i, threshold.Score, ref ties, indexes, ref count);
        return count;
    }

    /// <summary>The lowest so many bits of those set.</summary>
    private static uint Ties(uint equal, ref int ties)
    {
        uint chosen = 0;
        for (; equal != 0 && ties > 0; ties--)
        {
            chosen |= equal & (0 - equal);
            equal &= equal - 1;
        }

        return chosen;
    }

    private static void CollectScalar(
        ReadOnlySpan<float> scores, int first, float limit, ref int ties, Span<int> indexes, ref int count)
    {
        for (int i = first; i < scores.Length; i++)
        {
            if (scores[i] > limit || (scores[i] == limit && ties-- > 0)) indexes[count++] = i;
        }
    }
}
