using System.Text.RegularExpressions;

namespace KvTier.Architecture.Tests;

/// <summary>
/// Contracts: numbered invariants (<c>1. …</c>, from 1 on without a gap), each naming at least one test as
/// <c>`KvTier.X.Tests: Class.Method`</c>.
/// </summary>
internal static partial class ContractRules
{
    /// <summary>Checks one contract.</summary>
    /// <param name="text">The contract.</param>
    /// <param name="testExists">Says whether a project's sources have a method of a class.</param>
    public static List<string> Check(string text, Func<string, string, string, bool> testExists)
    {
        var wrong = new List<string>();
        MatchCollection invariants = Invariant().Matches(text);
        if (invariants.Count == 0) wrong.Add("no numbered invariants");
        for (int i = 0; i < invariants.Count; i++)
        {
            Match invariant = invariants[i];
            string number = invariant.Groups["number"].Value;
            if (number != $"{i + 1}") wrong.Add($"invariant {number} stands where {i + 1} should");
            int end = i + 1 < invariants.Count ? invariants[i + 1].Index : text.Length;
            MatchCollection tests = NamedTest().Matches(text[invariant.Index..end]);
            if (tests.Count == 0) wrong.Add($"invariant {number} names no test");
            foreach (Match test in tests)
            {
                (string project, string type, string method) = (
                    test.Groups["project"].Value, test.Groups["type"].Value, test.Groups["method"].Value);
                if (!testExists(project, type, method)) wrong.Add($"invariant {number}: {project}: {type}.{method} does not exist");
            }
        }

        return wrong;
    }

    /// <summary>Says whether one of some source files has a test method in a class.</summary>
    public static bool HasTest(IEnumerable<string> sources, string type, string method)
    {
        TimeSpan limit = TimeSpan.FromMinutes(1);
        return sources.Any(text => text.Contains(method, StringComparison.Ordinal)
            && Regex.IsMatch(text, $@"\bclass\s+{Regex.Escape(type)}\b", RegexOptions.ExplicitCapture, limit)
            && HasTestMethod(text.Split('\n'), method));
    }

    /// <summary>A declaration whose attributes, on the lines above up to a blank one, make it a test.</summary>
    private static bool HasTestMethod(string[] lines, string method)
    {
        for (int declaration = 0; declaration < lines.Length; declaration++)
        {
            string line = lines[declaration].TrimStart();
            if (!line.StartsWith("public ", StringComparison.Ordinal) || !line.Contains($" {method}(", StringComparison.Ordinal)) continue;
            for (int above = declaration - 1; above >= 0 && lines[above].Trim().Length > 0; above--)
            {
                if (TestAttribute().IsMatch(lines[above])) return true;
            }
        }

        return false;
    }

    [GeneratedRegex(@"^\s*\[(Fact|Theory|Property)\b", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex TestAttribute();

    [GeneratedRegex(@"^(?<number>\d+)\. ", RegexOptions.ExplicitCapture | RegexOptions.Multiline, 60_000)]
    private static partial Regex Invariant();

    [GeneratedRegex(@"`(?<project>KvTier\.[\w.]+): (?<type>\w+)\.(?<method>\w+)`", RegexOptions.ExplicitCapture, 60_000)]
    private static partial Regex NamedTest();
}
