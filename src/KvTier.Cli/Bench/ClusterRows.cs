using KvTier.Client;

namespace KvTier.Cli;

/// <summary>What the rows of clusters have in common.</summary>
internal static class ClusterRows
{
    /// <summary>The rows of a group, or rows without a figure where there is no etcd.</summary>
    /// <param name="names">The rows asked for.</param>
    /// <param name="unit">Their unit.</param>
    /// <param name="baseline">Their baseline.</param>
    /// <param name="measure">Measures them.</param>
    public static async Task<IReadOnlyList<BenchRow>> WithEtcdAsync(
        IEnumerable<string> names, string unit, string baseline, Func<Task<IReadOnlyList<BenchRow>>> measure) =>
        LocalEtcdStart.IsPossible
            ? await measure()
            : [.. names.Select(name => BenchRow.Rate(name, 0, unit, baseline, null, null, "etcd is not on the PATH"))];

    /// <summary>Gets a block from one silo, which must have it.</summary>
    public static async ValueTask GetAsync(KvNamespace ns, BlockId id, Memory<byte> destination)
    {
        BlockResult result = (await ns.GetAsync(new GetBlock(id, destination))).OrFail();
        if (!result.IsHit) throw new CliException(ExitCodes.Fault, $"bench: a block that was put is not there: {result.Reason.Name()}");
    }

    /// <summary>How much longer an operation takes than the baseline's.</summary>
    /// <param name="times">The operation's and the baseline's, in seconds.</param>
    public static string MoreOf(double[] times) => $"{1e6 * (times[0] - times[1]):0} us more";

    /// <summary>A row of times measured in turn.</summary>
    public static BenchRow Median(string name, double time, string baselineName, double baseline, double? goal, string? note) =>
        BenchRow.Cost(name, 1e6 * time, "us", baselineName, 1e6 * baseline, goal, note);

    /// <summary>Bytes of a block.</summary>
    public static byte[] Payload(BenchContext context)
    {
        byte[] payload = new byte[context.Settings.BlockBytes];
        BlockContent.Fill(payload, 1);
        return payload;
    }
}
