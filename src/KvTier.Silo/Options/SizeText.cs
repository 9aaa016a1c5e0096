using System.Globalization;

namespace KvTier.Silo;

/// <summary>Sizes as people write them: <c>65536</c>, <c>64KiB</c>, <c>64MiB</c>, <c>1GiB</c>, <c>2TiB</c>.</summary>
public static class SizeText
{
    /// <summary>What <see cref="TryParse"/> takes, for error messages.</summary>
    public const string Form = "a number of bytes, or a number with KiB, MiB, GiB or TiB";

    private static readonly (string Suffix, int Shift)[] units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

    /// <summary>Reads a size.</summary>
    /// <returns>False when the text is not of the form, or above <see cref="long.MaxValue"/>.</returns>
    public static bool TryParse(string text, out long bytes)
    {
        ArgumentNullException.ThrowIfNull(text);
        ReadOnlySpan<char> digits = text.AsSpan().Trim();
        int shift = 0;
        foreach ((string suffix, int bits) in units)
        {
            if (!digits.EndsWith(suffix, StringComparison.OrdinalIgnoreCase)) continue;
            digits = digits[..^suffix.Length].TrimEnd();
            shift = bits;
            break;
        }

        bool ok = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out bytes) && bytes <= long.MaxValue >> shift;
        bytes = ok ? bytes << shift : 0;
        return ok;
    }

    /// <summary>Shows a size in the largest unit that keeps it whole, such as <c>64MiB</c>.</summary>
    public static string Show(long bytes)
    {
        foreach ((string suffix, int shift) in units)
        {
            if (shift > 0 && bytes > 0 && (bytes & ((1L << shift) - 1)) == 0)
                return (bytes >> shift).ToString(CultureInfo.InvariantCulture) + suffix;
        }

        return bytes.ToString(CultureInfo.InvariantCulture);
    }
}
