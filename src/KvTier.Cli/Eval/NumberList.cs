using System.Globalization;

namespace KvTier.Cli;

/// <summary>Whole numbers separated by commas.</summary>
internal static class NumberList
{
    /// <summary>Reads a list.</summary>
    /// <exception cref="CliException">It is empty, or a part is no number.</exception>
    public static int[] Parse(string flag, string text)
    {
        var numbers = new List<int>();
        foreach (string part in text.Split(','))
        {
            if (!int.TryParse(part.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number))
                throw CliException.Usage(flag, text, "whole numbers separated by commas");
            numbers.Add(number);
        }

        return [.. numbers];
    }
}
