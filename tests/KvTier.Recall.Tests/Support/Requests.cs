namespace KvTier.Recall.Tests;

/// <summary>Requests of the tests.</summary>
internal static class Requests
{
    internal static RecallRequest Attend(
        RecallHarness silo, Selector selector, int queryHeads = 4, int layer = 1, int seed = 9, int window = 1, string name = "s") => new()
        {
            Namespace = silo.Namespace,
            Mode = RecallMode.Attend,
            Selector = selector,
            QueryHeads = queryHeads,
            Window = window,
            Items = [Item(silo, queryHeads, layer, seed, window, name)],
        };

    internal static RecallItem Item(
        RecallHarness silo, int queryHeads = 4, int layer = 1, int seed = 9, int window = 1, string name = "s") => new()
        {
            Sequence = name,
            Layer = layer,
            Queries = KvContext.Queries(window * queryHeads * silo.Layout.HeadDim, seed),
        };
}
