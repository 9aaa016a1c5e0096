using System.Text.RegularExpressions;

namespace KvTier.Architecture.Tests;

/// <summary>Rules for the shape of source files. Each gives the violations of one file as <c>line: what</c>.</summary>
internal static partial class TidyRules
{
    public const int FileLinesMax = 500;
    public const int LineLengthMax = 140;
    public const int MethodLinesMax = 70;

    /// <summary>Words that must not stay in finished code; put together here, so that this file has none.</summary>
    private static readonly string[] Unfinished = ["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Exception"];

    public static IEnumerable<string> FileLength(string text)
    {
        int lines = text.Count(c => c == '\n');
        return lines > FileLinesMax ? [$"{lines} lines, at most {FileLinesMax}"] : [];
    }

    public static IEnumerable<string> LineLength(string text) =>
        Numbered(text).Where(line => line.Text.Length > LineLengthMax).Select(
            line => $"{line.Number}: {line.Text.Length} characters, at most {LineLengthMax}");

    public static IEnumerable<string> LineEndings(string text)
    {
        if (text.Contains('\r', StringComparison.Ordinal)) yield return "has CR line endings";
        if (text.Length > 0 && text[^1] != '\n') yield return "does not end with a line feed";
    }

    public static IEnumerable<string> UnfinishedWords(string text) =>
        Numbered(text).SelectMany(line => Unfinished
            .Where(word => Regex.IsMatch(line.Text, $@"\b{word}\b", RegexOptions.None, TimeSpan.FromMinutes(1)))
            .Select(word => $"{line.Number}: {word}"));

    public static IEnumerable<string> FileScopedNamespace(string text) =>
        Numbered(text).Where(line => BlockNamespace().IsMatch(line.Text)).Select(line => $"{line.Number}: namespace with a block");

    /// <summary>
    /// Methods that are too long. Goes by the house format: a body is a line with nothing but an opening brace, up to the closing brace at
    /// the same indentation, and its header starts at the nearest line above with that indentation too.
    /// </summary>
    public static IEnumerable<string> MethodLength(string text)
    {
        string[] lines = text.Split('\n');
        for (int open = 1; open < lines.Length; open++)
        {
            if (lines[open].Trim() != "{") continue;
            int indent = Indent(lines[open]);
            int header = open - 1;
            while (header > 0 && (Indent(lines[header]) > indent || lines[header].Trim().Length == 0)) header--;
            if (TypeHeader().IsMatch(lines[header])) continue;
            int close = open + 1;
            while (close < lines.Length
                && (Indent(lines[close]) > indent || lines[close].Trim().Length == 0 || !lines[close].TrimStart().StartsWith('}')))
                close++;
            int length = close - header + 1;
            if (length <= MethodLinesMax) continue;
            yield return $"{header + 1}: {length} lines, at most {MethodLinesMax}";
            open = close;
        }
    }

    private static IEnumerable<(int Number, string Text)> Numbered(string text) =>
        text.Split('\n').Select((line, index) => (index + 1, line.TrimEnd('\r')));

    private static int Indent(string line) => line.Length - line.TrimStart().Length;

    [GeneratedRegex(@"^\s*namespace\s+[\w.]+\s*\{?\s*$", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex BlockNamespace();

    [GeneratedRegex(@"^[\w\s\[\]]*\b(class|struct|interface|enum|record|namespace)\b", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex TypeHeader();
}
