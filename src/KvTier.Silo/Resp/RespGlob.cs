namespace KvTier.Silo.Resp;

/// <summary>Glob patterns of SCAN and CONFIG GET: <c>*</c>, <c>?</c>, <c>[a-z]</c>, <c>[^x]</c> and <c>\x</c>.</summary>
internal static class RespGlob
{
    /// <summary>True when the whole text matches the pattern.</summary>
    /// <remarks>After a mismatch only the last star is tried again, at the next byte: earlier stars can't help, so that the time is
    /// bounded by the product of both lengths, whatever the pattern.</remarks>
    public static bool IsMatch(ReadOnlySpan<byte> pattern, ReadOnlySpan<byte> text, bool ignoreCase = false)
    {
        int p = 0, t = 0, starPattern = -1, starText = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                starPattern = ++p;
                starText = t;
                continue;
            }

            if (p < pattern.Length && MatchOne(pattern, ref p, text[t], ignoreCase))
            {
                t++;
                continue;
            }

            if (starPattern < 0) return false;
            p = starPattern;
            t = ++starText;
        }

        while (p < pattern.Length && pattern[p] == '*') p++;
        return p == pattern.Length;
    }

    private static bool MatchOne(ReadOnlySpan<byte> pattern, ref int p, byte c, bool ignoreCase)
    {
        switch (pattern[p])
        {
            case (byte)'?':
                p++;
                return true;
            case (byte)'[':
                return MatchSet(pattern, ref p, c, ignoreCase);
            case (byte)'\\' when p + 1 < pattern.Length:
                p += 2;
                return Same(pattern[p - 1], c, ignoreCase);
            default:
                return Same(pattern[p++], c, ignoreCase);
        }
    }

    private static bool MatchSet(ReadOnlySpan<byte> pattern, ref int p, byte c, bool ignoreCase)
    {
        p++;
        bool negate = p < pattern.Length && pattern[p] == '^';
        if (negate) p++;
        bool match = false;
        while (true)
        {
            if (p >= pattern.Length) break; // A set that is not closed ends with the pattern.
            if (pattern[p] == '\\' && p + 1 < pattern.Length)
            {
                p++;
                match |= pattern[p] == c;
            }
            else if (pattern[p] == ']')
            {
                p++;
                break;
            }
            else if (p + 2 < pattern.Length && pattern[p + 1] == '-')
            {
                match |= InRange(pattern[p], pattern[p + 2], c, ignoreCase);
                p += 2;
            }
            else
            {
                match |= Same(pattern[p], c, ignoreCase);
            }

            p++;
        }

        return match != negate;
    }

    private static bool InRange(byte low, byte high, byte c, bool ignoreCase)
    {
        if (ignoreCase) (low, high, c) = (Lower(low), Lower(high), Lower(c));
        return low <= high ? c >= low && c <= high : c >= high && c <= low;
    }

    private static bool Same(byte a, byte b, bool ignoreCase) => a == b || (ignoreCase && Lower(a) == Lower(b));

    private static byte Lower(byte c) => c is >= (byte)'A' and <= (byte)'Z' ? (byte)(c | 0x20) : c;
}
