namespace KvTier.Recall;

/// <summary>The mass of a whole sequence, by KV head and query: <c>[Hkv · queries]</c>.</summary>
/// <param name="Maxima">The largest logit of each query.</param>
/// <param name="Totals">The sum of masses by that logit.</param>
internal sealed record WholeMass(float[] Maxima, float[] Totals)
{
    /// <summary>Adds up what the parts said.</summary>
    internal static WholeMass Of(SpreadItem item, int heads)
    {
        HeadReport[][] reports = [.. item.Reports.Where(report => report is not null).Select(report => report!)];
        int queries = reports.Length == 0 ? 0 : reports[0][0].Maxima.Length;
        var maxima = new float[heads * queries];
        var totals = new float[heads * queries];
        maxima.AsSpan().Fill(float.NegativeInfinity);
        foreach (HeadReport[] report in reports)
        {
            for (int i = 0; i < maxima.Length; i++)
            {
                HeadReport head = report[i / queries];
                if (head.Maxima.Length == queries && head.Totals[i % queries] > 0)
                    maxima[i] = MathF.Max(maxima[i], head.Maxima[i % queries]);
            }
        }

        foreach (HeadReport[] report in reports)
        {
            for (int i = 0; i < maxima.Length; i++)
            {
                HeadReport head = report[i / queries];
                if (head.Maxima.Length == queries && head.Totals[i % queries] > 0)
                    totals[i] += head.Totals[i % queries] * MathF.Exp(head.Maxima[i % queries] - maxima[i]);
            }
        }

        return new WholeMass(maxima, totals);
    }

    /// <summary>Makes shares of the whole mass of ranks that a part made for each query head by its own.</summary>
    /// <param name="report">What the part said of a KV head.</param>
    /// <param name="head">The KV head.</param>
    internal HeadReport Share(HeadReport report, int head)
    {
        int queries = report.Maxima.Length;
        if (report.Ranks.Length != queries || (head + 1) * queries > Maxima.Length) return report.With([]);
        foreach ((RankedUnits rank, int q) in report.Ranks.Select((rank, q) => (rank, q)))
        {
            int whole = (head * queries) + q;
            float total = Totals[whole] * MathF.Exp(Maxima[whole] - report.Maxima[q]);
            float factor = float.IsFinite(total) && total > 0 ? 1 / total : 0;
            foreach (ref float key in rank.Keys.AsSpan()) key *= factor;
        }

        return report;
    }
}
