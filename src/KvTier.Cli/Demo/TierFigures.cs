using System.Text.Json;

namespace KvTier.Cli;

/// <summary>What the silo's <c>stat</c> says of its tiers.</summary>
internal sealed record TierFigures(long HostBlocks, long HostBytes, long SsdBlocks, long SsdBytes)
{
    /// <summary>Takes the figures out of the JSON of <c>stat</c>.</summary>
    public static TierFigures Parse(string stat)
    {
        using JsonDocument document = JsonDocument.Parse(stat);
        JsonElement engine = document.RootElement.GetProperty("engine");
        long Figure(string name) => engine.GetProperty(name).GetInt64();
        return new TierFigures(Figure("hostBlocks"), Figure("hostBytes"), Figure("ssdBlocks"), Figure("ssdBytes"));
    }
}
