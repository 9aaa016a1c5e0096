using System.Buffers;

namespace KvTier.Kernels;

/// <summary>Finds the k-th largest score digit by digit, from the top: 11, 11 and 10 bits of the monotone keys. After the first digit only
/// the keys that share it are looked at.</summary>
internal static class RadixSelect
{
    private const int DigitBits = 11;
    private const int Bins = 1 << DigitBits;

    /// <summary>Finds the threshold of the k best; everything when fewer than k are numbers.</summary>
    internal static Threshold Find(ReadOnlySpan<float> scores, int k)
    {
        Span<int> counts = stackalloc int[2 * Bins];
        counts.Clear();
        CountTopDigit(scores, counts);
        int rank = k;
        uint digit = FindBin(counts[..Bins], ref rank);
        uint prefix = digit << (32 - DigitBits);

        uint[] pool = ArrayPool<uint>.Shared.Rent(counts[(int)digit]);
        Span<uint> keys = pool.AsSpan(0, Gather(scores, digit, pool));
        prefix |= NextDigit(keys, prefix, 32 - (2 * DigitBits), DigitBits, counts, ref rank);
        prefix |= NextDigit(keys, prefix, 0, 32 - (2 * DigitBits), counts, ref rank);
        ArrayPool<uint>.Shared.Return(pool);
        return prefix == 0 ? Threshold.Everything : new Threshold(MonotoneKey.Score(prefix), rank);
    }

    /// <summary>Counts in two tables by turns, as equal digits in a row would wait for each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CountTopDigit(ReadOnlySpan<float> scores, Span<int> counts)
    {
        ref int first = ref MemoryMarshal.GetReference(counts);
        ref int second = ref Unsafe.Add(ref first, Bins);
        int i = 0;
        for (; i < scores.Length - 1; i += 2)
        {
            Unsafe.Add(ref first, (nint)(MonotoneKey.Of(scores[i]) >> (32 - DigitBits)))++;
            Unsafe.Add(ref second, (nint)(MonotoneKey.Of(scores[i + 1]) >> (32 - DigitBits)))++;
        }

        if (i < scores.Length) Unsafe.Add(ref first, (nint)(MonotoneKey.Of(scores[i]) >> (32 - DigitBits)))++;
        for (int bin = 0; bin < Bins; bin++) counts[bin] += counts[bin + Bins];
    }

    /// <summary>The keys whose top digit is this one. NaN has key 0 and may be among them; it is the last to be ranked.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Gather(ReadOnlySpan<float> scores, uint digit, Span<uint> keys)
    {
        int count = 0;
        foreach (float score in scores)
        {
            uint key = MonotoneKey.Of(score);
            if (key >> (32 - DigitBits) == digit) keys[count++] = key;
        }

        return count;
    }

    /// <summary>The next digit of the key that has this rank among those with the prefix.</summary>
    private static uint NextDigit(ReadOnlySpan<uint> keys, uint prefix, int shift, int bits, Span<int> counts, ref int rank)
    {
        uint mask = (1u << bits) - 1;
        int above = shift + bits;
        counts.Clear();
        foreach (uint key in keys)
        {
            if (key >> above == prefix >> above) counts[(int)((key >> shift) & mask)]++;
        }

        return FindBin(counts[..(1 << bits)], ref rank) << shift;
    }

    /// <summary>The bin, from the top, in which the rank falls; the rank becomes the one within it.</summary>
    private static uint FindBin(ReadOnlySpan<int> counts, ref int rank)
    {
        int bin = counts.Length - 1;
        for (; bin > 0 && rank > counts[bin]; bin--) rank -= counts[bin];
        return (uint)bin;
    }
}
