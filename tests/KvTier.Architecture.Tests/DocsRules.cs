using System.Text;
using System.Text.RegularExpressions;

namespace KvTier.Architecture.Tests;

/// <summary>Rules for Markdown pages. Each gives the violations of one page as <c>line: what</c>.</summary>
internal static partial class DocsRules
{
    /// <summary>Links to files of the repository that are not there, or to headings that the file does not have.</summary>
    /// <param name="path">The page's full path, which its links are relative to.</param>
    /// <param name="text">The page.</param>
    /// <param name="read">Reads another page by its full path; null where there is no such file or folder, empty for a folder.</param>
    public static List<string> Links(string path, string text, Func<string, string?> read)
    {
        var wrong = new List<string>();
        foreach ((int number, string line) in Prose(text))
        {
            foreach (Match match in Link().Matches(InlineCode().Replace(line, "")))
            {
                string target = match.Groups["target"].Value;
                if (target.Contains("://", StringComparison.Ordinal) || target.StartsWith("mailto:", StringComparison.Ordinal)) continue;
                string[] parts = target.Split('#', 2);
                string file = parts[0].Length == 0 ? path : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, parts[0]));
                string? there = file == path ? text : read(file);
                if (there is null) wrong.Add($"{number}: {target} is not there");
                else if (parts.Length == 2 && !Headings(there).Contains(parts[1])) wrong.Add($"{number}: {target} has no such heading");
            }
        }

        return wrong;
    }

    /// <summary>Code blocks that do not say what they hold; a check of commands looks at those that say <c>sh</c>.</summary>
    public static List<string> UnnamedFences(string text)
    {
        var wrong = new List<string>();
        bool inside = false;
        string[] lines = text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            if (!IsFence(lines[i])) continue;
            if (!inside && lines[i].Trim() == "```") wrong.Add($"{i + 1}: a code block without a language");
            inside = !inside;
        }

        if (inside) wrong.Add($"{lines.Length}: a code block that does not end");
        return wrong;
    }

    /// <summary>Pages that an index does not link to.</summary>
    /// <param name="index">The index's full path.</param>
    /// <param name="text">The index.</param>
    /// <param name="pages">Full paths of the pages that it must have.</param>
    public static List<string> Unlisted(string index, string text, IEnumerable<string> pages)
    {
        HashSet<string> listed = [.. Prose(text).SelectMany(line => Link().Matches(line.Text))
            .Select(match => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(index)!, match.Groups["target"].Value)))];
        return [.. pages.Where(page => page != index && !listed.Contains(page))];
    }

    /// <summary>The anchors of a page's headings, as GitHub makes them.</summary>
    private static HashSet<string> Headings(string text)
    {
        var anchors = new HashSet<string>(StringComparer.Ordinal);
        foreach ((int _, string line) in Prose(text))
        {
            if (!Heading().IsMatch(line)) continue;
            var anchor = new StringBuilder();
            foreach (char c in line.TrimStart('#').Trim().ToLowerInvariant())
            {
                if (char.IsLetterOrDigit(c) || c is '-' or '_') anchor.Append(c);
                else if (c == ' ') anchor.Append('-');
            }

            anchors.Add(anchor.ToString());
        }

        return anchors;
    }

    /// <summary>The lines outside of code blocks.</summary>
    private static IEnumerable<(int Number, string Text)> Prose(string text)
    {
        bool inside = false;
        string[] lines = text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            if (IsFence(lines[i])) inside = !inside;
            else if (!inside) yield return (i + 1, lines[i]);
        }
    }

    private static bool IsFence(string line) => line.TrimStart().StartsWith("```", StringComparison.Ordinal);

    [GeneratedRegex(@"\]\((?<target>[^()\s]+)\)", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex Link();

    [GeneratedRegex("`[^`]*`", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex InlineCode();

    [GeneratedRegex("^#{1,6} ", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex Heading();
}
