namespace KvTier.Cli;

/// <summary>All rows of the bench, and the choice among them.</summary>
internal static class BenchRunner
{
    private static readonly IBenchGroup[] recallGroups = [new KernelBench(), new DeviceBench(), new RecallBench(), new BestFirstBench()];

    private static readonly IBenchGroup[] clusterGroups =
    [
        new ClusterWireBench(), new ClusterForwardBench(), new ClusterAttendBench(), new ClusterMoveBench(), new ClusterViewBench(),
        new ClusterScaleBench(),
    ];

    private static readonly IBenchGroup[] groups =
    [
        new LocalBench(), new WireBench(), new RespBench(), new SsdBench(), new IndexBench(), new RecoverBench(), .. recallGroups,
        .. clusterGroups, new PythonBench(), new PythonRecallBench(),
    ];

    /// <summary>Names of all rows, in their order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. groups.SelectMany(group => group.Names)];

    /// <summary>The rows that arguments name: <c>all</c>, <c>recall</c>, a name, or a beginning of names such as <c>tcp</c>.</summary>
    /// <exception cref="CliException">An argument names none.</exception>
    public static IReadOnlySet<string> Choose(IEnumerable<string> arguments)
    {
        var chosen = new HashSet<string>();
        foreach (string argument in arguments)
        {
            string[] named = argument switch
            {
                "all" => [.. Names],
                "recall" => [.. recallGroups.SelectMany(group => group.Names)],
                _ => [.. Names.Where(name => name == argument || name.StartsWith(argument + "_", StringComparison.Ordinal))],
            };
            if (named.Length == 0) throw CliException.Usage("name", argument, "all, or of " + string.Join(", ", Names));
            chosen.UnionWith(named);
        }

        return chosen;
    }

    /// <summary>Measures rows.</summary>
    public static async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        var rows = new List<BenchRow>();
        foreach (IBenchGroup group in groups)
        {
            if (!group.Names.Any(names.Contains)) continue;
            context.Progress.Say(group.Names[0]);
            rows.AddRange(await group.RunAsync(context, names));
            context.Progress.Add(group.Names.Count);
        }

        return rows;
    }
}
