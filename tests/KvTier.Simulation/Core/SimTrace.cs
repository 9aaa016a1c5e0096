using System.Globalization;
using System.Text;

namespace KvTier.Simulation;

/// <summary>What happened, a line each, with the virtual time in ms.</summary>
internal sealed class SimTrace(SimScheduler scheduler)
{
    private readonly StringBuilder text = new();

    /// <summary>Everything so far.</summary>
    internal string Text => text.ToString();

    /// <summary>Adds a line.</summary>
    internal void Add(string who, string what) =>
        text.Append((scheduler.Now / 10_000.0).ToString("0.0000", CultureInfo.InvariantCulture)).Append(' ').Append(who).Append(": ")
            .Append(what).Append('\n');
}
