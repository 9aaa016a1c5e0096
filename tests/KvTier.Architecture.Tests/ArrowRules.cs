namespace KvTier.Architecture.Tests;

/// <summary>Which project may reference which: the table of the architecture page, §5.</summary>
internal static class ArrowRules
{
    public static IReadOnlyDictionary<string, string[]> Allowed { get; } = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        ["KvTier.Abstractions"] = [],
        ["KvTier.Memory"] = ["KvTier.Abstractions"],
        ["KvTier.Protocol"] = ["KvTier.Abstractions"],
        ["KvTier.Kernels"] = ["KvTier.Abstractions"],
        ["KvTier.Kernels.Device"] = ["KvTier.Abstractions", "KvTier.Memory", "KvTier.Kernels"],
        ["KvTier.Codecs"] = ["KvTier.Abstractions", "KvTier.Kernels"],
        ["KvTier.Storage"] = ["KvTier.Abstractions", "KvTier.Memory"],
        ["KvTier.Engine"] = ["KvTier.Abstractions", "KvTier.Memory"],
        ["KvTier.Recall"] = ["KvTier.Abstractions", "KvTier.Memory", "KvTier.Kernels", "KvTier.Engine"],
        ["KvTier.Cluster"] = ["KvTier.Abstractions", "KvTier.Protocol"],
        ["KvTier.Client"] = ["KvTier.Abstractions", "KvTier.Memory", "KvTier.Protocol"],
        ["KvTier.Silo"] =
        [
            "KvTier.Abstractions", "KvTier.Memory", "KvTier.Protocol", "KvTier.Kernels", "KvTier.Kernels.Device", "KvTier.Codecs",
            "KvTier.Storage", "KvTier.Engine", "KvTier.Recall", "KvTier.Cluster", "KvTier.Client",
        ],
        // Abstractions comes with either of the two; naming it is no new arrow.
        ["KvTier.Cli"] = ["KvTier.Abstractions", "KvTier.Client", "KvTier.Silo"],
    };

    /// <summary>Finds project references that the table does not have.</summary>
    /// <param name="references">References of every source project, by its name.</param>
    public static List<string> FindForbidden(IReadOnlyDictionary<string, string[]> references)
    {
        var wrong = new List<string>();
        foreach ((string project, string[] targets) in references)
        {
            if (!Allowed.TryGetValue(project, out string[]? allowed))
            {
                wrong.Add($"{project} is not in the table of projects");
                continue;
            }

            wrong.AddRange(targets.Except(allowed).Select(target => $"{project} -> {target}"));
        }

        return wrong;
    }

    /// <summary>Finds a cycle.</summary>
    /// <returns>Its projects in order; empty when there is none.</returns>
    public static List<string> FindCycle(IReadOnlyDictionary<string, string[]> references)
    {
        var done = new HashSet<string>(StringComparer.Ordinal);
        foreach (string project in references.Keys)
        {
            var path = new List<string>();
            if (Walk(project, references, done, path)) return path;
        }

        return [];
    }

    /// <summary>Everything that a project may come to use through the projects that it may reference.</summary>
    public static HashSet<string> Reachable(string project)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>(Allowed[project]);
        while (open.TryPop(out string? next))
        {
            if (!found.Add(next)) continue;
            foreach (string target in Allowed[next]) open.Push(target);
        }

        return found;
    }

    private static bool Walk(string project, IReadOnlyDictionary<string, string[]> references, HashSet<string> done, List<string> path)
    {
        if (path.Contains(project))
        {
            path.Add(project);
            return true;
        }

        if (done.Contains(project)) return false;
        path.Add(project);
        foreach (string target in references.GetValueOrDefault(project, []))
        {
            if (Walk(target, references, done, path)) return true;
        }

        path.RemoveAt(path.Count - 1);
        done.Add(project);
        return false;
    }
}
