using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvTier;

/// <summary>
/// Finds the silo with the highest <see cref="Rendezvous.Score"/> without a logarithm for each: a bound of <c>-ln(u) / weight</c> from
/// below costs a few multiplications for four silos at once, and only those that it can't rule out are scored. The result is exactly that
/// of scoring all.
/// </summary>
internal sealed class RendezvousTable
{
    /// <summary>Silos that are taken together; the arrays are filled up to a multiple of it.</summary>
    private const int Lanes = 4;

    /// <summary>So few silos are scored at once; bounds would cost more.</summary>
    private const int SilosOfExact = 4;

    /// <summary>From so many silos on, twice the lanes pay.</summary>
    private const int SilosOfWide = 64;

    /// <summary>What rounding may add to a bound, many times over.</summary>
    private const double Slack = 1 - 1e-9;

    /// <summary>The smallest <c>1 - u</c> there is.</summary>
    private const double Smallest = 1.0 / (1UL << 54);

    private readonly ulong[] seeds;
    private readonly double[] weights;
    private readonly double[] inverses;

    /// <summary>Makes a table of silos.</summary>
    /// <param name="seeds">Their seeds.</param>
    /// <param name="weights">Their weights, above 0.</param>
    public RendezvousTable(ReadOnlySpan<ulong> seeds, ReadOnlySpan<double> weights)
    {
        Count = seeds.Length;
        Padded = (Count + 2 * Lanes - 1) / (2 * Lanes) * 2 * Lanes;
        this.seeds = new ulong[Padded];
        this.weights = weights.ToArray();
        inverses = new double[Padded];
        seeds.CopyTo(this.seeds);
        inverses.AsSpan().Fill(double.MaxValue);
        for (int i = 0; i < Count; i++) inverses[i] = Slack / weights[i];
    }

    /// <summary>How many silos there are.</summary>
    public int Count { get; }

    /// <summary>Bounds that <see cref="FillBounds"/> writes: the silos, and some more that are no silo's.</summary>
    public int Padded { get; }

    /// <summary>Writes for each silo a number that is at most <c>1 / score</c>; with few silos, the negative score itself.</summary>
    public void FillBounds(BlockId group, Span<double> bounds)
    {
        if (Count <= SilosOfExact)
        {
            for (int i = 0; i < Count; i++) bounds[i] = -Score(i, group);
            return;
        }

        if (Avx512DQ.IsSupported && Padded >= SilosOfWide) FillWide(group, bounds);
        else Fill(group, bounds);
    }

    private void Fill(BlockId group, Span<double> bounds)
    {
        Vector256<ulong> high = Vector256.Create(group.High);
        Vector256<ulong> low = Vector256.Create(group.Low);
        ref ulong seed = ref MemoryMarshal.GetArrayDataReference(seeds);
        ref double inverse = ref MemoryMarshal.GetArrayDataReference(inverses);
        ref double first = ref MemoryMarshal.GetReference(bounds[..Padded]);
        for (int i = 0; i < Padded; i += Lanes)
        {
            Vector256<ulong> hash = Mix(Mix(Vector256.LoadUnsafe(ref seed, (nuint)i) ^ high) ^ low);
            Vector256<double> ones = ((hash >>> 12) | Vector256.Create(0x3FF0000000000000UL)).AsDouble();
            Vector256<double> rest = Vector256.Create(2.0) - ones - Vector256.Create(4 * Smallest);
            rest = Vector256.Max(rest, Vector256.Create(Smallest));
            Vector256<double> bound = rest + rest * rest * Vector256.Create(0.5);
            (bound * Vector256.LoadUnsafe(ref inverse, (nuint)i)).StoreUnsafe(ref first, (nuint)i);
        }
    }

    /// <summary>
    /// The same with twice the lanes; by instructions, as <c>Vector512</c> is not used on processors that slow down for it.
    /// </summary>
    private void FillWide(BlockId group, Span<double> bounds)
    {
        Vector512<ulong> high = Vector512.Create(group.High);
        Vector512<ulong> low = Vector512.Create(group.Low);
        ref ulong seed = ref MemoryMarshal.GetArrayDataReference(seeds);
        ref double inverse = ref MemoryMarshal.GetArrayDataReference(inverses);
        ref double first = ref MemoryMarshal.GetReference(bounds[..Padded]);
        Vector512<ulong> one = Vector512.Create(0x3FF0000000000000UL);
        Vector512<double> two = Vector512.Create(2 - 4 * Smallest);
        Vector512<double> smallest = Vector512.Create(Smallest);
        Vector512<double> half = Vector512.Create(0.5);
        for (int i = 0; i < Padded; i += 2 * Lanes)
        {
            Vector512<ulong> hash = Mix(Avx512F.Xor(Mix(Avx512F.Xor(Vector512.LoadUnsafe(ref seed, (nuint)i), high)), low));
            Vector512<double> ones = Avx512F.Or(Avx512F.ShiftRightLogical(hash, 12), one).AsDouble();
            Vector512<double> rest = Avx512F.Max(Avx512F.Subtract(two, ones), smallest);
            Vector512<double> bound = Avx512F.FusedMultiplyAdd(Avx512F.Multiply(rest, rest), half, rest);
            Avx512F.Multiply(bound, Vector512.LoadUnsafe(ref inverse, (nuint)i)).StoreUnsafe(ref first, (nuint)i);
        }
    }

    /// <summary>Finds the silo with the highest score, the first one of equals.</summary>
    /// <param name="group">The group.</param>
    /// <param name="bounds">What <see cref="FillBounds"/> wrote; infinite for silos that are left out.</param>
    /// <returns>Its index; -1 when all are left out.</returns>
    public int FindBest(BlockId group, ReadOnlySpan<double> bounds)
    {
        if (Count <= SilosOfExact) return IndexOfFew(bounds[..Count]);
        int best = IndexOfMin(bounds);
        if (best < 0) return -1;
        double limit = FindLimit(best, group);
        int next = FindAtMost(bounds, 0, limit);
        if (next == best) next = FindAtMost(bounds, best + 1, limit);
        if (next < 0) return best;
        double highest = Score(best, group);
        int found = best;
        for (int i = next; i >= 0; i = FindAtMost(bounds, i + 1, limit))
        {
            if (i == best) continue;
            double score = Score(i, group);
            if (score < highest || (score == highest && i > found)) continue;
            (highest, found) = (score, i);
        }

        return found;
    }

    /// <summary>
    /// A number that is at least <c>1 / score</c> of a silo: the rest of the series of <c>-ln(1 - rest)</c> is at most its next term
    /// divided by <c>1 - rest</c>. Whoever's bound is above it is ruled out.
    /// </summary>
    private double FindLimit(int silo, BlockId group)
    {
        double rest = Math.Max(Smallest, 1 - (((Rendezvous.Hash(seeds[silo], group) >> 11) + 0.5) * (1.0 / (1UL << 53))));
        if (rest > 0.9) return 1 / (Score(silo, group) * Slack);
        double cost = rest + rest * rest * 0.5 + rest * rest * rest / (3 * (1 - rest));
        return cost / (weights[silo] * Slack);
    }

    private double Score(int silo, BlockId group) => Rendezvous.Score(Rendezvous.Hash(seeds[silo], group), weights[silo]);

    private static int IndexOfFew(ReadOnlySpan<double> bounds)
    {
        int best = -1;
        double lowest = double.PositiveInfinity;
        for (int i = 0; i < bounds.Length; i++)
        {
            if (bounds[i] < lowest) (lowest, best) = (bounds[i], i);
        }

        return best;
    }

    /// <summary>Index of the lowest bound, the first one of equals; -1 when all are infinite.</summary>
    private int IndexOfMin(ReadOnlySpan<double> bounds)
    {
        ref double first = ref MemoryMarshal.GetReference(bounds);
        Vector256<double> lowest = Vector256.Create(double.PositiveInfinity);
        for (int i = 0; i < Padded; i += Lanes) lowest = Vector256.Min(lowest, Vector256.LoadUnsafe(ref first, (nuint)i));
        double least = double.PositiveInfinity;
        for (int i = 0; i < Lanes; i++) least = Math.Min(least, lowest[i]);
        return double.IsPositiveInfinity(least) ? -1 : FindAtMost(bounds, 0, least);
    }

    /// <summary>Index of the next bound that is at most a limit; -1 when there is none.</summary>
    private int FindAtMost(ReadOnlySpan<double> bounds, int from, double limit)
    {
        ref double first = ref MemoryMarshal.GetReference(bounds);
        Vector256<double> most = Vector256.Create(limit);
        ulong later = ulong.MaxValue << (from % Lanes);
        for (int i = from / Lanes * Lanes; i < Padded; i += Lanes)
        {
            ulong within = Vector256.LessThanOrEqual(Vector256.LoadUnsafe(ref first, (nuint)i), most).ExtractMostSignificantBits() & later;
            if (within != 0 && i + BitOperations.TrailingZeroCount(within) is var index && index < Count) return index;
            later = ulong.MaxValue;
        }

        return -1;
    }

    private static Vector512<ulong> Mix(Vector512<ulong> value)
    {
        value = Avx512F.Add(value, Vector512.Create(0x9E3779B97F4A7C15UL));
        value = Avx512DQ.MultiplyLow(Avx512F.Xor(value, Avx512F.ShiftRightLogical(value, 30)), Vector512.Create(0xBF58476D1CE4E5B9UL));
        value = Avx512DQ.MultiplyLow(Avx512F.Xor(value, Avx512F.ShiftRightLogical(value, 27)), Vector512.Create(0x94D049BB133111EBUL));
        return Avx512F.Xor(value, Avx512F.ShiftRightLogical(value, 31));
    }

    private static Vector256<ulong> Mix(Vector256<ulong> value)
    {
        value += Vector256.Create(0x9E3779B97F4A7C15UL);
        value = (value ^ (value >>> 30)) * Vector256.Create(0xBF58476D1CE4E5B9UL);
        value = (value ^ (value >>> 27)) * Vector256.Create(0x94D049BB133111EBUL);
        return value ^ (value >>> 31);
    }
}
