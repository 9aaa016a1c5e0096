using System.Globalization;

namespace KvTier.Cli;

/// <summary>
/// The header of a <c>.npy</c> file: a Python dictionary with <c>descr</c>, <c>fortran_order</c> and <c>shape</c>, as text.
/// </summary>
/// <param name="Descr">Element type in NumPy's code, such as <c>&lt;f4</c>.</param>
/// <param name="FortranOrder">True when the first axis is the fastest.</param>
/// <param name="Shape">Length of every axis.</param>
internal sealed record NpyHeader(string Descr, bool FortranOrder, IReadOnlyList<long> Shape)
{
    /// <summary>Reads a header.</summary>
    /// <returns>Null when the text is not such a dictionary.</returns>
    public static NpyHeader? Parse(string text) => new Reader(text).Read();

    /// <summary>Reads the few kinds of literal that a header has.</summary>
    private sealed class Reader(string text)
    {
        private int at;
        private string? descr;
        private bool? fortranOrder;
        private List<long>? shape;

        public NpyHeader? Read()
        {
            if (!Take('{')) return null;
            while (!Take('}'))
            {
                if (!ReadPair()) return null;
                if (!Take(',') && Peek() != '}') return null;
            }

            Peek();
            return at == text.Length && descr is not null && fortranOrder is { } order && shape is not null
                ? new NpyHeader(descr, order, shape)
                : null;
        }

        private bool ReadPair()
        {
            string? name = ReadString();
            if (name is null || !Take(':')) return false;
            switch (name)
            {
                case "descr":
                    return (descr = ReadString()) is not null;
                case "fortran_order":
                    fortranOrder = TakeWord("True") ? true : TakeWord("False") ? false : null;
                    return fortranOrder is not null;
                case "shape":
                    return (shape = ReadTuple()) is not null;
                default:
                    return false;
            }
        }

        private string? ReadString()
        {
            char quote = Peek();
            if (quote is not ('\'' or '"')) return null;
            int end = text.IndexOf(quote, at + 1);
            if (end < 0) return null;
            string value = text[(at + 1)..end];
            at = end + 1;
            return value;
        }

        private List<long>? ReadTuple()
        {
            if (!Take('(')) return null;
            var axes = new List<long>();
            while (!Take(')'))
            {
                Peek();
                int end = at;
                while (end < text.Length && char.IsAsciiDigit(text[end])) end++;
                if (!long.TryParse(text[at..end], NumberStyles.None, CultureInfo.InvariantCulture, out long axis)) return null;
                axes.Add(axis);
                at = end;
                if (!Take(',') && Peek() != ')') return null;
            }

            return axes;
        }

        private char Peek()
        {
            while (at < text.Length && char.IsWhiteSpace(text[at])) at++;
            return at < text.Length ? text[at] : '\0';
        }

        private bool Take(char c)
        {
            if (Peek() != c) return false;
            at++;
            return true;
        }

        private bool TakeWord(string word)
        {
            Peek();
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) return false;
            at += word.Length;
            return true;
        }
    }
}
