using System.Globalization;
using KvTier.Protocol;

namespace KvTier.Silo.Engines;

/// <summary>Bytes a second by which loading is judged.</summary>
/// <param name="Send">From host memory to the engine; every block goes that way.</param>
/// <param name="Ssd">From the SSD into host memory, before that.</param>
/// <param name="Peer">From another silo into host memory, before that.</param>
internal readonly record struct LoadRates(double Send, double Ssd, double Peer);

/// <summary>A block of a prefix, as far as the gate needs to know it.</summary>
/// <param name="Path">Where it comes from: host, SSD or another silo.</param>
/// <param name="Bytes">Its length.</param>
internal readonly record struct LoadBlock(LoadPath Path, long Bytes);

/// <summary>
/// Decides how many blocks of a prefix to load. Loading n blocks and computing the rest takes load(n) + compute(all - n); the gate takes
/// the n for which that is least. So no block is counted that recomputing would have had sooner, and no slow block at the end eats up
/// what fast ones at the beginning have saved.
/// </summary>
internal static class CostGate
{
    /// <summary>Decides.</summary>
    /// <param name="blocks">The blocks of the prefix that are there.</param>
    /// <param name="rates">How fast they come.</param>
    /// <param name="blockTokens">Tokens of a block; 0 when nobody knows.</param>
    /// <param name="prefillTokensPerSecond">How fast the engine computes; 0 when nobody knows.</param>
    /// <param name="isOn">False to count every block that is there.</param>
    public static LoadableResponse Decide(
        ReadOnlySpan<LoadBlock> blocks, LoadRates rates, int blockTokens, double prefillTokensPerSecond, bool isOn)
    {
        double blockMs = blockTokens > 0 && prefillTokensPerSecond > 0 ? blockTokens * 1000.0 / prefillTokensPerSecond : 0;
        bool decides = isOn && blockMs > 0;
        double load = 0, bestLoad = 0, bestSaving = 0;
        int best = 0;
        for (int i = 0; i < blocks.Length; i++)
        {
            load += MsOf(blocks[i], rates);
            double saving = ((i + 1) * blockMs) - load;
            if (decides && saving < bestSaving) continue;
            (best, bestLoad, bestSaving) = (i + 1, load, saving);
        }

        string reason = (blocks.Length, isOn, blockMs, best) switch
        {
            (0, _, _, _) => "no block of the prefix is here",
            (_, false, _, _) => "the gate is off (engines.gate): every block that is here counts",
            (_, _, <= 0, _) when blockTokens <= 0 => "tokens of a block are not known: every block that is here counts",
            (_, _, <= 0, _) => "the prefill rate is not known (engines.prefillTokensPerSecond): every block that is here counts",
            (_, _, _, 0) => Say($"computing {blocks.Length} blocks takes {blocks.Length * blockMs:0.#} ms, loading them {load:0.#} ms"),
            var (all, _, _, some) when some == all => Say($"loading all takes {load:0.#} ms, computing them {all * blockMs:0.#} ms"),
            var (all, _, _, some) => Say(
                $"loading {some} takes {bestLoad:0.#} ms, computing them {some * blockMs:0.#} ms; the other {all - some} would take ")
                + Say($"{load - bestLoad:0.#} ms to load and {(all - some) * blockMs:0.#} ms to compute"),
        };
        return new LoadableResponse(best, blocks.Length, bestLoad, best * blockMs, reason);
    }

    private static double MsOf(LoadBlock block, LoadRates rates)
    {
        double seconds = block.Bytes / rates.Send;
        if (block.Path == LoadPath.Ssd) seconds += block.Bytes / rates.Ssd;
        else if (block.Path == LoadPath.Peer) seconds += block.Bytes / rates.Peer;
        return seconds * 1000;
    }

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
