namespace KvTier.Silo.Resp;

/// <summary>Cursors of SCAN.</summary>
internal static class RespCursor
{
    /// <summary>A SCAN cursor, read as strtoul does: signs are taken, negative numbers wrap, the empty string is 0.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out ulong value)
    {
        value = 0;
        text = RespText.CString(text);
        if (text.Length == 0) return true;
        bool negative = text[0] == '-';
        if (text[0] is (byte)'-' or (byte)'+') text = text[1..];
        if (text.Length == 0) return false;
        foreach (byte c in text)
        {
            if (c is < (byte)'0' or > (byte)'9') return false;
            ulong digit = (ulong)(c - '0');
            if (value > (ulong.MaxValue - digit) / 10) return false;
            value = (value * 10) + digit;
        }

        if (negative) value = unchecked(0UL - value);
        return true;
    }
}
