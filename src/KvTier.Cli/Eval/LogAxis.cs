namespace KvTier.Cli;

/// <summary>A logarithmic axis of a plot.</summary>
/// <param name="Low">Value at its beginning, above 0.</param>
/// <param name="High">Value at its end, above <paramref name="Low"/>.</param>
/// <param name="From">Pixel of its beginning.</param>
/// <param name="To">Pixel of its end.</param>
internal readonly record struct LogAxis(double Low, double High, double From, double To)
{
    private static readonly double[] mantissas = [1, 2, 5];

    /// <summary>An axis over values, with a little room at both ends.</summary>
    public static LogAxis Over(IReadOnlyCollection<double> values, double from, double to) =>
        new(values.Min() / 1.12, values.Max() * 1.12, from, to);

    /// <summary>The pixel of a value.</summary>
    public double At(double value) => From + ((To - From) * Math.Log(value / Low) / Math.Log(High / Low));

    /// <summary>The values 1, 2 and 5 times a power of ten that lie on it.</summary>
    public IEnumerable<double> Ticks()
    {
        for (int power = (int)Math.Floor(Math.Log10(Low)); power <= Math.Ceiling(Math.Log10(High)); power++)
        {
            foreach (double mantissa in mantissas)
            {
                double value = mantissa * Math.Pow(10, power);
                if (value >= Low && value <= High) yield return value;
            }
        }
    }
}
