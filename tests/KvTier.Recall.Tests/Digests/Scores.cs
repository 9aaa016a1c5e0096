namespace KvTier.Recall.Tests.Digests;

/// <summary>The scores that an index gives chunks.</summary>
internal static class Scores
{
    /// <summary>Scores <c>[G][chunks]</c> of one KV head.</summary>
    internal static float[][] Of(DigestIndex index, KvSample sample, float[] queries, int queryHeads, int layer, int kvHead)
    {
        var selector = new Selector { Name = "test", Digest = index.Spec };
        ScoreTable table = ScoreTable.Current;
        var selection = new Selection(sample.Layout.KvHeads);
        ChunkView view = ((ChunkIndex)index).View;
        int group = queryHeads / sample.Layout.KvHeads;
        table.Shape(group, group, view.Chunks, MomentScorer.Planes(index.Spec), index.Spec.Peaks);
        HeadQueries.Set(sample.Request(selector, queries, queryHeads, layer), kvHead, sample.Layout.KvHeads, sample.Layout.HeadDim, table);
        var scorer = new ChunkScorer(view, (layer * sample.Layout.KvHeads) + kvHead, table, selection);
        scorer.ScoreAll();
        scorer.Join(0, view.Chunks);
        return [.. Enumerable.Range(0, group).Select(g => table.Line(table.Logits, g).ToArray())];
    }
}
