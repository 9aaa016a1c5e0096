using System.Globalization;

namespace KvTier.Simulation;

/// <summary>Shows what was counted.</summary>
internal static class ScaleTable
{
    /// <summary>The lines of a table.</summary>
    internal static IEnumerable<string> Of(int silos, IReadOnlyList<ScalePhase> phases)
    {
        yield return Line($"{silos} silos, lease 3 s, 2 copies; all silos together, in virtual time");
        yield return Row("phase", "seconds", "renewals", "loads", "reads", "commits", "watch", "member", "block", "pushes", "copied");
        foreach (ScalePhase phase in phases)
        {
            SimTraffic traffic = phase.Traffic;
            yield return Row(
                phase.Name, phase.Seconds, traffic.Renewals, traffic.LoadWrites, traffic.Reads, traffic.Commits, traffic.WatchMessages,
                traffic.MemberCalls, traffic.BlockCalls, traffic.Pushes, traffic.PushedBlocks);
        }

        foreach (ScalePhase phase in phases)
        {
            yield return Line($"{phase.Name}: {phase.EtcdRequestsPerSilo:0.00} requests to etcd a second and silo, ")
                + Line($"{phase.Traffic.WatchMessages / phase.Seconds / phase.Silos:0.00} messages from it")
                + (phase.Blocks > 0 ? Line($"; it had {phase.Blocks} blocks, {phase.Bytes} bytes") : "")
                + (phase.Blocks > 0 ? Line($"; {phase.Traffic.PushedBytes} bytes copied") : "");
        }
    }

    private static string Row(params object[] cells) => string.Concat(cells.Select((cell, i) =>
    {
        string text = string.Format(CultureInfo.InvariantCulture, cell is double ? "{0:0.00}" : "{0}", cell);
        return i == 0 ? text.PadRight(10) : text.PadLeft(10);
    }));

    private static string Line(FormattableString text) => FormattableString.Invariant(text);
}
