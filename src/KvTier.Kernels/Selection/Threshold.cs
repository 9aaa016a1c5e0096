namespace KvTier.Kernels;

/// <summary>What is chosen: every score above a value, and the first so many that equal it.</summary>
/// <param name="Score">The k-th best score.</param>
/// <param name="Ties">How many that equal it are chosen, from the lowest index on.</param>
internal readonly record struct Threshold(float Score, int Ties)
{
    /// <summary>Every number.</summary>
    internal static Threshold Everything => new(float.NegativeInfinity, int.MaxValue);
}
