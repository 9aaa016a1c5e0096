using System.Numerics;

namespace KvTier.Cli;

/// <summary>
/// The random numbers of synthetic tensors: xoshiro256** seeded by SplitMix64, so that one seed gives the same tensors on every
/// machine and every version of .NET.
/// </summary>
internal sealed class SyntheticRandom
{
    private const int NormalBits = 12;
    private static readonly float[] Normals = NormalTable();

    private ulong s0;
    private ulong s1;
    private ulong s2;
    private ulong s3;

    /// <summary>Starts a sequence.</summary>
    /// <param name="seed">The run's seed.</param>
    /// <param name="stream">What the numbers are for: streams of one seed do not depend on each other.</param>
    public SyntheticRandom(ulong seed, ulong stream)
    {
        ulong state = seed + (stream * 0xD1342543DE82EF95);
        s0 = SplitMix(ref state);
        s1 = SplitMix(ref state);
        s2 = SplitMix(ref state);
        s3 = SplitMix(ref state);
    }

    /// <summary>The next 64 bits.</summary>
    public ulong NextWord()
    {
        ulong word = BitOperations.RotateLeft(s1 * 5, 7) * 9;
        ulong shifted = s1 << 17;
        s2 ^= s0;
        s3 ^= s1;
        s1 ^= s2;
        s0 ^= s3;
        s2 ^= shifted;
        s3 = BitOperations.RotateLeft(s3, 45);
        return word;
    }

    /// <summary>Uniform in [0, 1).</summary>
    public double NextDouble() => (NextWord() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform in 0 .. <paramref name="end"/> - 1.</summary>
    public int NextInt(int end) => (int)Math.BigMul(NextWord(), (ulong)end, out _);

    /// <summary>Exponential with the given mean.</summary>
    public double NextExponential(double mean) => -mean * Math.Log(1 - NextDouble());

    /// <summary>Fills a span with standard normal numbers, five from each word.</summary>
    /// <remarks>Each is one of 4,096 quantiles, so none is beyond 3.7: what matters here is the spread, not the far tail.</remarks>
    public void FillNormal(Span<float> destination)
    {
        ulong word = 0;
        int left = 0;
        for (int i = 0; i < destination.Length; i++)
        {
            if (left == 0)
            {
                word = NextWord();
                left = 64 / NormalBits;
            }

            destination[i] = Normals[(int)(word & ((1 << NormalBits) - 1))];
            word >>= NormalBits;
            left--;
        }
    }

    private static ulong SplitMix(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        ulong z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    private static float[] NormalTable()
    {
        var table = new float[1 << NormalBits];
        for (int i = 0; i < table.Length / 2; i++)
        {
            float z = (float)Quantile((i + 0.5) / table.Length);
            table[i] = z;
            table[^(i + 1)] = -z;
        }

        return table;
    }

    // Newton's method on the distribution function; the lower half, where the density is well above zero for 12 bits.
    private static double Quantile(double p)
    {
        double z = -Math.Sqrt(-2 * Math.Log(p)) * 0.8;
        for (int i = 0; i < 60; i++)
        {
            double density = Math.Exp(-z * z / 2) / Math.Sqrt(2 * Math.PI);
            z -= Math.Clamp((Distribution(z) - p) / density, -0.5, 0.5);
        }

        return z;
    }

    // Distribution function of the normal law for z <= 0 by the series of Marsaglia (2004), exact to double rounding for |z| < 6.
    private static double Distribution(double z)
    {
        double term = z;
        double sum = z;
        for (int i = 3; i < 200; i += 2)
        {
            term *= z * z / i;
            sum += term;
        }

        return 0.5 + (sum * Math.Exp(-z * z / 2) / Math.Sqrt(2 * Math.PI));
    }
}
