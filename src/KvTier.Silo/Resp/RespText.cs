using System.Text;

namespace KvTier.Silo.Resp;

/// <summary>Comparisons and clean-ups of arguments as Redis does them on C strings.</summary>
internal static class RespText
{
    /// <summary>The bytes before the first NUL: what Redis sees of an argument where it treats it as a C string.</summary>
    public static ReadOnlySpan<byte> CString(ReadOnlySpan<byte> text)
    {
        int nul = text.IndexOf((byte)0);
        return nul < 0 ? text : text[..nul];
    }

    /// <summary>True when an argument is a word, in any case.</summary>
    public static bool Is(ReadOnlySpan<byte> argument, ReadOnlySpan<byte> word) => Ascii.EqualsIgnoreCase(CString(argument), word);

    /// <summary>Puts spaces in place of line ends, so that an error stays one line.</summary>
    public static void MaskLineEnds(Span<byte> text)
    {
        text.Replace((byte)'\r', (byte)' ');
        text.Replace((byte)'\n', (byte)' ');
    }

    /// <summary>True for a name that CLIENT SETNAME takes: printable ASCII without spaces.</summary>
    public static bool IsClientName(ReadOnlySpan<byte> name) => !name.ContainsAnyExceptInRange((byte)'!', (byte)'~');
}
