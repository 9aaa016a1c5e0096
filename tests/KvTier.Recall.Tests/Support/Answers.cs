using System.Runtime.InteropServices;

namespace KvTier.Recall.Tests;

/// <summary>Compares answers with what they must be.</summary>
internal static class Answers
{
    internal static int[] UnitsOf(RecallItemAnswer item, int head)
    {
        int from = item.Counts.Span[..head].ToArray().Sum();
        return item.Units.Slice(from, item.Counts.Span[head]).ToArray();
    }

    internal static int[] SentOf(RecallItemAnswer item, int head)
    {
        int from = item.SentCounts.Span[..head].ToArray().Sum();
        return item.Sent.Slice(from, item.SentCounts.Span[head]).ToArray();
    }

    internal static IEnumerable<long> TokensOf(RecallItemAnswer item, IEnumerable<int> units, long tokens) => units.SelectMany(
        unit => Enumerable.Range(0, item.UnitTokens).Select(i => ((long)unit * item.UnitTokens) + i)).Where(token => token < tokens);

    internal static bool IsMissing(RecallItemAnswer item, long token) =>
        item.Missing.Any(run => token >= run.FirstToken && token < run.FirstToken + run.Tokens);

    /// <summary>Compares an attention with one in double precision over the units that the answer names.</summary>
    internal static void AssertAttends(
        RecallAnswer answer, RecallItemAnswer item, RecallRequest request, RecallItem asked, KvContext context, BlockLayout layout,
        double tolerance = 1e-5)
    {
        ReadOnlySpan<float> all = MemoryMarshal.Cast<byte, float>(
            answer.Payload.Span.Slice((int)item.PayloadOffset, (int)item.PayloadLength));
        int heads = request.QueryHeads;
        int dim = layout.HeadDim;
        Assert.Equal(request.Window * heads * (dim + 1), all.Length);
        for (int w = 0; w < request.Window; w++)
        {
            for (int q = 0; q < heads; q++)
            {
                int head = q / (heads / layout.KvHeads);
                IEnumerable<long> tokens = TokensOf(item, UnitsOf(item, head), context.Tokens).Where(token => !IsMissing(item, token));
                int at = (w * heads) + q;
                (double[] output, double lse) = context.Attend(
                    asked.Layer, head, tokens, asked.Queries.Span.Slice(at * dim, dim), request.Temperature);
                AssertClose(output, all.Slice(at * dim, dim), tolerance);
                float got = all[(request.Window * heads * dim) + at];
                double off = double.IsInfinity(lse) && lse == got ? 0 : Math.Abs((lse * request.LseMultiplier) - got);
                Assert.True(off <= tolerance * 10 * Math.Max(1, Math.Abs(lse)), $"lse {got}, expected {lse}");
            }
        }
    }

    /// <summary>Compares the rows of a gather <c>[K,V][Hkv][n][D]</c> with those that were stored.</summary>
    internal static void AssertGathers(
        RecallAnswer answer, RecallItemAnswer item, RecallItem asked, KvContext context, BlockLayout layout,
        GatherLayout order = GatherLayout.KvHeadToken)
    {
        ReadOnlyMemory<byte> rows = answer.Payload.Slice((int)item.PayloadOffset, (int)item.PayloadLength);
        int kinds = layout.SharedRows ? 1 : 2;
        Assert.Equal(kinds * layout.KvHeads * item.GatherRows * layout.RowBytes, rows.Length);
        for (int head = 0; head < layout.KvHeads; head++)
        {
            long[] tokens = [.. TokensOf(item, SentOf(item, head), context.Tokens)];
            Assert.True(tokens.Length <= item.GatherRows);
            for (int n = 0; n < item.GatherRows; n++)
            {
                for (int kind = 0; kind < kinds; kind++)
                {
                    int index = order switch
                    {
                        GatherLayout.KvHeadToken => (((kind * layout.KvHeads) + head) * item.GatherRows) + n,
                        GatherLayout.HeadKvToken => (((head * kinds) + kind) * item.GatherRows) + n,
                        _ => (((kind * item.GatherRows) + n) * layout.KvHeads) + head,
                    };
                    byte[] expected = n < tokens.Length
                        ? context.Row(asked.Layer, head, tokens[n], kind == 1).ToArray()
                        : new byte[layout.RowBytes];
                    Assert.Equal(expected, rows.Slice(index * layout.RowBytes, layout.RowBytes).ToArray());
                }
            }
        }
    }

    internal static void AssertClose(double[] expected, ReadOnlySpan<float> got, double tolerance)
    {
        double error = 0;
        double norm = 0;
        for (int j = 0; j < expected.Length; j++)
        {
            error += Math.Pow(expected[j] - got[j], 2);
            norm += expected[j] * expected[j];
        }

        Assert.True(Math.Sqrt(error) <= tolerance * Math.Max(Math.Sqrt(norm), 1e-3), $"relative error {Math.Sqrt(error / norm)}");
    }
}
