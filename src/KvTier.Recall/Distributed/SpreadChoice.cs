namespace KvTier.Recall;

/// <summary>
/// Chooses the units of a recall over several silos. Every silo scores its parts and says how much mass there is (largest logit and sum,
/// for each query); with the mass of the whole it ranks them, and the best of all silos are chosen here, by the code that chooses on one.
/// Where ranks are raw scores, one message does both.
/// </summary>
internal sealed class SpreadChoice(SpreadRecall run, PartCaller caller, PartBuilder builder)
{
    private readonly Selector selector = run.Request.Selector;
    private readonly SpreadMaps maps = new(caller, builder, run.Namespace.Id);
    private readonly Dictionary<string, List<(SpreadItem Item, int Part)>> scored = new(StringComparer.Ordinal);

    /// <summary>Chooses for every item; ends by the deadline. Parts that give no answer are lost to the items.</summary>
    internal async ValueTask<KvError?> ChooseAsync(Deadline deadline)
    {
        List<SpreadItem> open = [.. run.Items.Where(item => !TryChooseAtOnce(item))];
        if (open.Count == 0) return null;
        bool estimates = selector.Estimate && run.Request.Mode == RecallMode.Attend;
        run.Session = caller.NextSession();
        if (estimates)
        {
            foreach (SpreadItem item in open) await maps.LearnAsync(item, selector.Digest, deadline.Share(0.3));
        }

        await ScoreAsync(open, estimates, deadline.Share(0.5));
        if (RankRule.NeedsMass(selector)) await RankAsync(open, deadline.Share(0.4));
        var heads = new SpreadHeads(run.Request, run.Layout);
        foreach (SpreadItem item in open)
        {
            item.Choice = heads.Choose(item, estimates);
            item.Grain.Memory.Reuse.Add(selector, item.Item.Layer, item.Item.Queries.Span, item.Choice, run.Layout.KvHeads);
        }

        if (!estimates) run.Session = 0;
        return null;
    }

    private bool TryChooseAtOnce(SpreadItem item)
    {
        if (item.TakesAll)
        {
            int[] units = [.. Enumerable.Range(0, item.Units)];
            item.Choice = new Selection(run.Layout.KvHeads) { UnitTokens = item.UnitTokens };
            for (int head = 0; head < item.Choice.KvHeads; head++) item.Choice.Set(head, units);
            return true;
        }

        ReadOnlySpan<float> queries = item.Item.Queries.Span;
        if (item.Grain.Memory.Reuse.Find(selector, item.Item.Layer, queries, run.Layout.HeadDim) is not { } earlier) return false;
        item.Choice = earlier;
        item.IsReused = true;
        return true;
    }

    private ValueTask ScoreAsync(List<SpreadItem> open, bool estimates, Deadline deadline)
    {
        foreach (SpreadItem item in open) item.Reports = new HeadReport[item.Places.Parts.Count][];
        IEnumerable<(SpreadItem Item, int Part)> wanted =
            open.SelectMany(item => Enumerable.Range(0, item.Places.Parts.Count).Select(part => (item, part)));
        return run.ForEachSiloAsync(
            wanted, (silo, parts) => ScoreAtAsync(silo, parts, estimates, deadline),
            (item, part, error) => item.Lose(part, SpreadRecall.ReasonOf(error)));
    }

    private async ValueTask<KvError?> ScoreAtAsync(
        string silo, List<(SpreadItem Item, int Part)> parts, bool estimates, Deadline deadline)
    {
        bool all = selector.Budget.Kind is BudgetKind.Mass or BudgetKind.Threshold || (estimates && selector.EstimateShare < 1);
        int limit = parts.Max(each => TokenLimit.Of(selector, each.Item.State.Tokens));

        // One more than fit is looked at, and what is always in may be among the best.
        int most = all ? int.MaxValue : (limit / selector.Digest.ChunkTokens) + 4;
        RecallRequest request = run.Request with { Selector = selector with { Estimate = estimates } };
        PartRecallItem[] items =
            [.. parts.Select(each => new PartRecallItem(each.Item.Item, each.Item.Places.Parts[each.Part].Stamp, null))];
        var asked = new PartRecall(run.Namespace.Id, request, items, run.Session);
        int[] mapBlocks = [.. parts.Select(each => estimates ? each.Item.MapBlocks : 0)];
        var score = new PartScore(asked, most, Keeps: estimates || RankRule.NeedsMass(selector), mapBlocks);
        int[] units = [.. parts.Select(each => each.Item.UnitsOf(each.Part))];
        Result<(HeadReport[] Heads, RecallCost[] Costs)> result = await builder.WithPartsAsync(
            silo, parts, () => caller.ScoreAsync(silo, score, run.Layout.KvHeads, units, deadline), deadline,
            maps, selector.Digest);
        if (!result.TryGet(out (HeadReport[] Heads, RecallCost[] Costs) scores, out KvError? error)) return error;
        for (int i = 0; i < parts.Count; i++)
        {
            (SpreadItem item, int part) = parts[i];
            item.Reports[part] = scores.Heads.AsSpan(i * run.Layout.KvHeads, run.Layout.KvHeads).ToArray();
            item.Scored[part] = i;
            item.AddCost(scores.Costs[i]);
        }

        lock (scored) scored[silo] = parts;
        return null;
    }

    /// <summary>Has all silos rank by shares of the whole mass.</summary>
    private ValueTask RankAsync(List<SpreadItem> open, Deadline deadline)
    {
        var masses = open.ToDictionary(item => item, item => WholeMass.Of(item, run.Layout.KvHeads));
        return run.ForEachSiloAsync(
            scored.Values.SelectMany(parts => parts), (silo, parts) => RankAtAsync(silo, parts, masses, deadline),
            (item, part, error) => item.Lose(part, SpreadRecall.ReasonOf(error)));
    }

    private async ValueTask<KvError?> RankAtAsync(
        string silo, List<(SpreadItem Item, int Part)> parts, Dictionary<SpreadItem, WholeMass> masses, Deadline deadline)
    {
        var rank = new PartRank(
            run.Session, [.. parts.SelectMany(each => masses[each.Item].Maxima)], [.. parts.SelectMany(each => masses[each.Item].Totals)]);
        int heads = run.Layout.KvHeads;
        Result<RankedUnits[][]> result = await caller.RankAsync(silo, rank, heads * parts.Count, deadline);
        if (!result.TryGet(out RankedUnits[][]? ranks, out KvError? error)) return error;
        for (int i = 0; i < parts.Count; i++)
        {
            HeadReport[] reports = parts[i].Item.Reports[parts[i].Part]!;
            for (int head = 0; head < heads; head++) reports[head] = reports[head].With(ranks[(i * heads) + head]);
        }

        return null;
    }
}

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
}
