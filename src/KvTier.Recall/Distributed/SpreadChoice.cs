namespace KvTier.Recall;

/// <summary>
/// Chooses the units of a recall over several silos. Every silo scores its parts and says how much mass there is (largest logit and sum,
/// for each query); with the mass of the whole it ranks them, and the best of all silos are chosen here, by the code that chooses on one.
/// Where ranks are raw scores, or shares of one query head each, one message does both.
/// </summary>
internal sealed class SpreadChoice(SpreadRecall run, PartCaller caller, PartBuilder builder)
{
    /// <summary>Bytes of ranks for each query head in a silo's answer at most; where there are more, another message costs less.</summary>
    private const int RanksBytesMax = 512 << 10;

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
        if (RankRule.NeedsMass(selector)) await RankAsync(open, deadline);
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
        long ranksBytes = (long)parts.Count * run.Request.QueryHeads * Math.Min(most, parts.Max(each => each.Item.Units)) * 8;
        bool byHeads = !estimates && RankRule.ByHeads(selector, run.Request.Window) && ranksBytes <= RanksBytesMax;
        bool keeps = estimates || (RankRule.NeedsMass(selector) && !byHeads);
        var score = new PartScore(asked, most, keeps, mapBlocks, byHeads);
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

    /// <summary>Brings ranks to shares of the whole mass; silos that have not ranked yet are asked to.</summary>
    private ValueTask RankAsync(List<SpreadItem> open, Deadline deadline)
    {
        var masses = open.ToDictionary(item => item, item => WholeMass.Of(item, run.Layout.KvHeads));
        var unranked = new List<(SpreadItem Item, int Part)>();
        foreach ((SpreadItem item, int part) in scored.Values.SelectMany(parts => parts))
        {
            HeadReport[] reports = item.Reports[part]!;
            if (Array.TrueForAll(reports, report => report.Ranks.Length == 0)) unranked.Add((item, part));
            else for (int head = 0; head < reports.Length; head++) reports[head] = masses[item].Share(reports[head], head);
        }

        return unranked.Count == 0
            ? default
            : run.ForEachSiloAsync(
                unranked, (silo, parts) => RankAtAsync(silo, parts, masses, deadline.Share(0.4)),
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
