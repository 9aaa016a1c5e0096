namespace KvTier.Protocol;

/// <summary>Splits an inline command into arguments by Redis' rules of quoting, unescaping in place.</summary>
internal static class RespInline
{
    /// <summary>Splits a line.</summary>
    /// <param name="line">The line without its end; arguments with quotes are rewritten in it, never to more bytes than they had.</param>
    /// <param name="arguments">Takes the arguments, with offsets into the line.</param>
    /// <returns>False when quotes are unbalanced, or a closing quote is followed by something other than a space.</returns>
    public static bool TrySplit(Span<byte> line, RespArguments arguments)
    {
        int position = 0;
        while (true)
        {
            while (position < line.Length && IsSpace(line[position])) position++;
            if (position == line.Length) return true;
            int start = position;
            int end = start;
            if (!TryArgument(line, ref position, ref end)) return false;
            arguments.Add(new RespArgument(start, end - start));
        }
    }

    private static bool TryArgument(Span<byte> line, ref int position, ref int end)
    {
        while (position < line.Length)
        {
            byte c = line[position];
            switch (c)
            {
                case (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t':
                    return true;
                case (byte)'"' or (byte)'\'':
                    position++;
                    return TryQuoted(line, c, ref position, ref end) && (position == line.Length || IsSpace(line[position]));
                default:
                    line[end++] = c;
                    position++;
                    break;
            }
        }

        return true;
    }

    private static bool TryQuoted(Span<byte> line, byte quote, ref int position, ref int end)
    {
        while (position < line.Length)
        {
            byte c = line[position++];
            if (c == quote) return true;
            if (c == (byte)'\\' && position < line.Length)
            {
                if (quote == (byte)'"') c = Unescape(line, ref position);
                else if (line[position] == quote) c = line[position++];
            }

            line[end++] = c;
        }

        return false;
    }

    private static byte Unescape(ReadOnlySpan<byte> line, ref int position)
    {
        byte c = line[position++];
        if (c == (byte)'x' && position + 1 < line.Length && IsHex(line[position]) && IsHex(line[position + 1]))
        {
            byte value = (byte)((HexDigit(line[position]) << 4) | HexDigit(line[position + 1]));
            position += 2;
            return value;
        }

        return c switch
        {
            (byte)'n' => (byte)'\n',
            (byte)'r' => (byte)'\r',
            (byte)'t' => (byte)'\t',
            (byte)'b' => (byte)'\b',
            (byte)'a' => (byte)'\a',
            _ => c,
        };
    }

    private static bool IsHex(byte c) => char.IsAsciiHexDigit((char)c);

    private static int HexDigit(byte c) => c <= (byte)'9' ? c - '0' : (c | 0x20) - 'a' + 10;

    private static bool IsSpace(byte c) => c is (byte)' ' or (>= 9 and <= 13);
}
