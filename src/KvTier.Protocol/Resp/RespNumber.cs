namespace KvTier.Protocol;

/// <summary>Numbers as Redis reads them: decimal digits, a minus in front, nothing else.</summary>
public static class RespNumber
{
    private const int DigitsMax = 20;

    /// <summary>Reads a number: no plus, no spaces, no leading zeros, no overflow, no minus zero.</summary>
    /// <returns>False when the text is no such number.</returns>
    public static bool TryParse(ReadOnlySpan<byte> text, out long value)
    {
        value = 0;
        if (text.Length is 0 or > DigitsMax) return false;
        if (text.Length == 1 && text[0] == (byte)'0') return true;
        bool negative = text[0] == (byte)'-';
        if (negative) text = text[1..];
        if (text.IsEmpty || text[0] is < (byte)'1' or > (byte)'9') return false;
        ulong magnitude = 0;
        foreach (byte digit in text)
        {
            if (digit is < (byte)'0' or > (byte)'9') return false;
            ulong next = unchecked((magnitude * 10) + (ulong)(digit - '0'));
            if (magnitude > ulong.MaxValue / 10 || next < magnitude) return false;
            magnitude = next;
        }

        if (magnitude > (negative ? 1UL << 63 : long.MaxValue)) return false;
        value = unchecked(negative ? -(long)magnitude : (long)magnitude);
        return true;
    }
}
