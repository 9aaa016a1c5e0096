namespace KvTier.Simulation;

/// <summary>Times of the simulation: ticks of 100 ns.</summary>
internal static class Ticks
{
    /// <summary>A microsecond.</summary>
    internal const long Us = 10;

    /// <summary>A millisecond.</summary>
    internal const long Ms = 10_000;

    /// <summary>A second.</summary>
    internal const long Second = 10_000_000;

    /// <summary>A time between two, evenly.</summary>
    internal static long NextTicks(this Random random, long min, long max) => random.NextInt64(min, max + 1);

    /// <summary>True with a probability.</summary>
    internal static bool Chance(this Random random, double probability) => probability > 0 && random.NextDouble() < probability;

    /// <summary>A source of randomness for one purpose, so that one purpose's draws do not shift another's.</summary>
    internal static Random Stream(int seed, int purpose) => new(unchecked((seed * 1_000_003) ^ (purpose * 7919) ^ (seed >> 7)));
}
