namespace KvTier.Recall.Tests.Digests;

/// <summary>Numbers drawn from a seed (SplitMix64), the same everywhere.</summary>
internal sealed class SampleRandom(ulong seed)
{
    private ulong state = seed;

    internal ulong Next()
    {
        ulong z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    internal int Below(int bound) => (int)(Next() % (ulong)bound);

    internal float Normal()
    {
        double u = ((Next() >> 11) + 1) * (1.0 / (1UL << 53));
        double v = (Next() >> 11) * (1.0 / (1UL << 53));
        return (float)(Math.Sqrt(-2 * Math.Log(u)) * Math.Cos(2 * Math.PI * v));
    }
}
