using KvTier.Protocol;
using KvTier.Silo.Engines;

namespace KvTier.Silo.Tests.Engines;

public sealed class CostGateTests
{
    private const long Block = 2_000_000;
    private const int Tokens = 16;

    // 2 MB at 2 GB/s is 1 ms a block; from the SSD at 1 GB/s 2 ms more.
    private static readonly LoadRates rates = new(2e9, 1e9, 0.5e9);

    [Fact]
    public void Decide_HostFasterThanPrefill_TakesAll()
    {
        LoadableResponse answer = Decide(Blocks(LoadPath.Host, 10), prefill: 8000);
        Assert.Equal((10, 10, 10.0, 20.0), (answer.Blocks, answer.Present, answer.LoadMs, answer.RecomputeMs));
        Assert.Contains("loading all takes 10 ms, computing them 20 ms", answer.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Decide_PrefillFasterThanLoading_TakesNone()
    {
        LoadableResponse answer = Decide(Blocks(LoadPath.Ssd, 10), prefill: 16_000);
        Assert.Equal((0, 10, 0.0, 0.0), (answer.Blocks, answer.Present, answer.LoadMs, answer.RecomputeMs));
        Assert.Contains("computing 10 blocks takes 10 ms, loading them 30 ms", answer.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Decide_SlowTail_IsLeftThoughTheWholeWouldStillPay()
    {
        // Ten fast ones save 10 ms; ten slow ones cost 10 ms: all twenty arrive just in time, and would be for nothing.
        LoadBlock[] blocks = [.. Blocks(LoadPath.Host, 10), .. Blocks(LoadPath.Ssd, 10)];
        LoadableResponse answer = Decide(blocks, prefill: 8000);
        Assert.Equal((10, 20), (answer.Blocks, answer.Present));
        Assert.Contains("the other 10 would take 30 ms to load and 20 ms to compute", answer.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Decide_SlowHeadBeforeFastTail_IsTakenWhereTheTailPaysForIt()
    {
        LoadBlock[] blocks = [.. Blocks(LoadPath.Ssd, 2), .. Blocks(LoadPath.Host, 10)];
        Assert.Equal(12, Decide(blocks, prefill: 8000).Blocks);
        LoadBlock[] shorter = [.. Blocks(LoadPath.Ssd, 10), .. Blocks(LoadPath.Host, 2)];
        Assert.Equal(0, Decide(shorter, prefill: 8000).Blocks);
    }

    [Fact]
    public void Decide_PeerPath_CountsThatWayToo() =>
        Assert.Equal(5.0 * 4, Decide(Blocks(LoadPath.Peer, 4), prefill: 1000).LoadMs, 6);

    [Fact]
    public void Decide_GateOff_TakesAll()
    {
        LoadableResponse answer = CostGate.Decide(Blocks(LoadPath.Ssd, 10), rates, Tokens, 1e9, isOn: false);
        Assert.Equal(10, answer.Blocks);
        Assert.Contains("engines.gate", answer.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 8000, "tokens of a block")]
    [InlineData(16, 0, "engines.prefillTokensPerSecond")]
    public void Decide_SomethingUnknown_TakesAllAndSaysWhat(int tokens, double prefill, string why)
    {
        LoadableResponse answer = CostGate.Decide(Blocks(LoadPath.Ssd, 10), rates, tokens, prefill, isOn: true);
        Assert.Equal((10, 30.0), (answer.Blocks, Math.Round(answer.LoadMs, 6)));
        Assert.Contains(why, answer.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Decide_NothingHere_SaysSo()
    {
        LoadableResponse answer = Decide([], prefill: 8000);
        Assert.Equal((0, 0), (answer.Blocks, answer.Present));
        Assert.Contains("no block", answer.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Decide_AnyPrefix_IsTheOneThatIsDoneFirst()
    {
        var random = new Random(7);
        for (int round = 0; round < 500; round++)
        {
            LoadBlock[] blocks = [.. Enumerable.Range(0, random.Next(1, 20)).Select(_ => new LoadBlock(
                (LoadPath)random.Next(4), random.Next(1, 5_000_000)))];
            double prefill = Math.Pow(10, 2 + (random.NextDouble() * 4)), blockMs = Tokens * 1000.0 / prefill;
            LoadableResponse answer = Decide(blocks, prefill);
            double[] done = [.. Enumerable.Range(0, blocks.Length + 1).Select(n =>
                (double.Max(0, blocks.Length - n) * blockMs) + CostGate.Decide(blocks.AsSpan(0, n), rates, 0, 0, true).LoadMs)];
            Assert.Equal(done.Min(), done[answer.Blocks], 6);
            Assert.True(answer.LoadMs <= answer.RecomputeMs + 1e-9, "what is counted must arrive before it would be computed");
        }
    }

    private static LoadableResponse Decide(LoadBlock[] blocks, double prefill) =>
        CostGate.Decide(blocks, rates, Tokens, prefill, isOn: true);

    private static LoadBlock[] Blocks(LoadPath path, int count) => [.. Enumerable.Repeat(new LoadBlock(path, Block), count)];
}
