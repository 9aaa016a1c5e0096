using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// Chooses, KV head by KV head, from what the parts ranked: the units of all silos in one table, and the code of one silo.
/// </summary>
internal sealed class SpreadHeads(RecallRequest request, BlockLayout layout)
{
    private readonly Selector selector = request.Selector;
    private readonly ChunkShape shape = new(request.Selector.Digest, layout);
    private readonly ScoreTable table = new();
    private readonly int group = request.QueryHeads / layout.KvHeads;

    private bool IsUnion => RankRule.IsUnion(selector);

    private bool HasClusters => selector.Digest.Kind is DigestKind.Centroids or DigestKind.Vq;

    private int Lines => IsUnion ? group : 1;

    private int Queries => group * (selector.Reuse.Kind == ReuseKind.Probe ? 1 : request.Window);

    /// <summary>Chooses for an item.</summary>
    /// <param name="item">The item, whose parts have answered or are lost.</param>
    /// <param name="estimates">True to say which units are estimated, when that is not all.</param>
    internal Selection Choose(SpreadItem item, bool estimates)
    {
        var choice = new Selection(layout.KvHeads) { UnitTokens = item.UnitTokens };
        bool some = estimates && selector.EstimateShare < 1;
        if (some) item.Estimated = [.. item.Places.Parts.Select(_ => new int[layout.KvHeads][])];
        int[][] places = HasClusters ? [] : [.. item.Places.Parts.Select((_, part) => item.PlacesOf(part))];
        for (int head = 0; head < layout.KvHeads; head++)
        {
            if (HasClusters) ChooseClusters(item, head, choice, some);
            else ChooseChunks(item, head, places, choice, some);
        }

        return choice;
    }

    private void ChooseChunks(SpreadItem item, int head, int[][] places, Selection choice, bool someEstimated)
    {
        var view = new ChunkView(shape, Store: null!, Maps: null, item.State.Tokens);
        table.Shape(Lines, Lines, view.Chunks, planes: 0, peaks: 0);
        table.Counts.Fill(view.ChunkTokens);
        table.Counts[^1] = view.LastTokens;
        table.Room.Begin(view.Chunks);
        table.Logits.Fill(float.NaN);
        int limit = TokenLimit.Of(selector, view.Tokens);
        var always = new AlwaysIn(view, head, table, limit);
        foreach ((int part, HeadReport report) in ReportsOf(item, head))
        {
            foreach (int chunk in report.Always) always.MarkQuarantined(item.ToSequence(part, chunk));
            TakeRanks(report, places[part]);
        }

        always.MarkByPlace(selector);
        if (selector.Digest.OutlierChunks > 0) MarkOutliers(item, head, ref always, view.Chunks);
        for (int chunk = 0; chunk < view.Chunks; chunk++)
            if (table.Forced[chunk] != 0) table.Room.Add(chunk);
        var chooser = new UnitChooser(view, table, limit - always.Tokens);
        if (IsUnion)
        {
            chooser.TakeInTurns(softmax: false);
        }
        else
        {
            table.Line(table.Logits, 0).CopyTo(table.Keys);
            GroupKeys.Exclude(table, table.Keys);
            OfferLast(item, view.Chunks - 1);
            ChunkSelection.Take(ref chooser, selector, Queries, group);
        }

        choice.Set(head, table.Room.Chosen);
        if (someEstimated) EstimateChunks(item, head);
    }

    /// <summary>
    /// A last chunk that is not full may fit where no other does, whatever its rank: it is offered though it was not named.
    /// </summary>
    private void OfferLast(SpreadItem item, int last)
    {
        if (selector.Budget.Kind is not (BudgetKind.Tokens or BudgetKind.Share)) return;
        if (table.Forced[last] != 0 || table.Counts[last] == 0 || !float.IsNaN(table.Keys[last])) return;
        if (item.IsThere(last)) table.Keys[last] = float.NegativeInfinity;
    }

    private void MarkOutliers(SpreadItem item, int head, ref AlwaysIn always, int chunks)
    {
        Span<float> badness = table.Room.Numbers(chunks);
        badness.Fill(float.NaN);
        foreach ((int part, HeadReport report) in ReportsOf(item, head))
        {
            for (int i = 0; i < report.Outliers.Length; i++) badness[item.ToSequence(part, report.Outliers[i])] = report.Badness[i];
        }

        always.MarkOutliers(badness);
    }

    private void EstimateChunks(SpreadItem item, int head)
    {
        WriteReduced();
        GroupKeys.Exclude(table, table.Keys);
        foreach ((int part, HeadReport report) in ReportsOf(item, head))
        {
            foreach (int chunk in report.NotEstimated) table.Keys[item.ToSequence(part, chunk)] = float.NaN;
        }

        Span<int> order = table.Room.Order(Math.Min(table.Units, (int)Math.Ceiling(selector.EstimateShare * table.Units)));
        int found = TopK.Select(table.Keys, order.Length, order);
        for (int part = 0; part < item.Places.Parts.Count; part++)
        {
            var units = new List<int>();
            foreach (int chunk in order[..found])
            {
                if (item.Places.Parts[part].ToPart(chunk, item.UnitsPerBlock) is >= 0 and var unit) units.Add(unit);
            }

            item.Estimated![part][head] = [.. units];
        }
    }

    private void ChooseClusters(SpreadItem item, int head, Selection choice, bool someEstimated)
    {
        List<SpreadSegment> segments = SpreadSegment.Of(item, ReportsOf(item, head));
        var view = new ClusterView(shape, segments.ConvertAll(each => each.Segment), (int)item.State.Tokens);
        table.Shape(Lines, Lines, view.Clusters, planes: 0, peaks: 0);
        table.Room.Begin(view.Tokens);
        table.Logits.Fill(float.NaN);
        int first = 0;
        foreach (SpreadSegment each in segments)
        {
            for (int c = 0; c < each.Segment.Clusters; c++) table.Counts[first + c] = each.Segment.Members(0, c).Length;
            each.First = first;
            first += each.Segment.Clusters;
        }

        foreach ((int part, HeadReport report) in ReportsOf(item, head))
        {
            int[] map = SpreadSegment.MapOf(segments, part);
            TakeRanks(report, map);
        }

        var chooser = new ClusterChooser(view, head: 0, table, TokenLimit.Of(selector, view.Tokens));
        chooser.MarkAlways(selector);
        if (IsUnion)
        {
            chooser.TakeInTurns(softmax: false);
        }
        else
        {
            table.Line(table.Logits, 0).CopyTo(table.Keys);
            GroupKeys.Exclude(table, table.Keys);
            ClusterSelection.Take(ref chooser, selector, Queries, group);
        }

        for (int token = 0; token < view.Tokens; token++)
            if (chooser.Marks[token] != 0) table.Room.Add(token);
        choice.Set(head, table.Room.Chosen);
        if (someEstimated) EstimateClusters(item, head, segments, chooser);
    }

    private void EstimateClusters(SpreadItem item, int head, List<SpreadSegment> segments, in ClusterChooser chooser)
    {
        WriteReduced();
        GroupKeys.Exclude(table, table.Keys);
        for (int u = 0; u < table.Units; u++)
            if (chooser.Unmarked(u) == 0) table.Keys[u] = float.NaN;
        int[][] maps = [.. item.Places.Parts.Select((_, part) => SpreadSegment.MapOf(segments, part))];
        foreach ((int part, HeadReport report) in ReportsOf(item, head))
        {
            foreach (int cluster in report.NotEstimated) table.Keys[maps[part][cluster]] = float.NaN;
        }

        Span<int> order = table.Room.Order(Math.Min(table.Units, (int)Math.Ceiling(selector.EstimateShare * table.Units)));
        int found = TopK.Select(table.Keys, order.Length, order);
        var isEstimated = new HashSet<int>(order[..found].ToArray());
        for (int part = 0; part < maps.Length; part++)
        {
            int[] map = maps[part];
            item.Estimated![part][head] = [.. Enumerable.Range(0, map.Length).Where(cluster => isEstimated.Contains(map[cluster]))];
        }
    }

    /// <summary>One ranking of all lines; the larger counts where query heads took turns.</summary>
    private void WriteReduced()
    {
        table.Line(table.Logits, 0).CopyTo(table.Keys);
        for (int line = 1; line < Lines; line++) RowMath.Max(table.Keys, table.Line(table.Logits, line));
    }

    /// <summary>Takes the ranks of a part in. Where it ranked for each query head and they don't take turns, the largest counts: that of a
    /// chunk which is among the part's best is in the list of the head that it comes from.</summary>
    /// <param name="report">What the part said.</param>
    /// <param name="toSequence">The unit of the sequence that each unit of the part is.</param>
    private void TakeRanks(HeadReport report, int[] toSequence)
    {
        for (int list = 0; list < report.Ranks.Length; list++)
        {
            Span<float> keys = table.Line(table.Logits, Math.Min(list, Lines - 1));
            (int[] ranked, float[] by) = report.Ranks[list];
            for (int i = 0; i < by.Length; i++)
            {
                int unit = ranked.Length == 0 ? i : ranked[i];
                if ((uint)unit >= (uint)toSequence.Length || float.IsNaN(by[i])) continue;
                ref float key = ref keys[toSequence[unit]];
                if (!(key >= by[i])) key = by[i];
            }
        }
    }

    private static IEnumerable<(int Part, HeadReport Report)> ReportsOf(SpreadItem item, int head)
    {
        for (int part = 0; part < item.Reports.Length; part++)
        {
            if (item.Lost[part] == MissReason.None && item.Reports[part] is { } reports) yield return (part, reports[head]);
        }
    }
}

/// <summary>A segment of clusters of a part, in its place in the sequence.</summary>
/// <param name="part">The part.</param>
/// <param name="segment">The segment, tokens counted in the sequence.</param>
internal sealed class SpreadSegment(int part, ClusterSegment segment)
{
    internal ClusterSegment Segment => segment;

    /// <summary>Number of its first cluster among those of all segments.</summary>
    internal int First { get; set; }

    /// <summary>The segments of all parts, by place.</summary>
    internal static List<SpreadSegment> Of(SpreadItem item, IEnumerable<(int Part, HeadReport Report)> reports)
    {
        int blockTokens = item.State.Layout.BlockTokens;
        var all = new List<SpreadSegment>();
        foreach ((int part, HeadReport report) in reports)
        {
            foreach (ClusterSegment each in report.Segments)
            {
                int block = (int)(each.FirstToken / blockTokens);
                int[] positions = item.Places.Parts[part].Positions;
                if (block >= positions.Length) continue;
                (ushort[] members, ushort[] starts) = each.MembersOf(0);
                all.Add(new SpreadSegment(
                    part, ClusterSegment.OfMembers((long)positions[block] * blockTokens, each.Tokens, each.Clusters, members, starts)));
            }
        }

        all.Sort((a, b) => a.Segment.FirstToken.CompareTo(b.Segment.FirstToken));
        return all;
    }

    /// <summary>Number of each cluster of a part among those of all segments. A part's segments keep their order.</summary>
    internal static int[] MapOf(List<SpreadSegment> segments, int part) =>
        [.. segments.Where(each => each.IsOf(part)).SelectMany(each => Enumerable.Range(each.First, each.Segment.Clusters))];

    private bool IsOf(int other) => part == other;
}
