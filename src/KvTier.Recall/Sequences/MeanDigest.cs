using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Means of the keys of each chunk, in fp32.</summary>
internal sealed class MeanDigest : DigestIndex
{
    private readonly BlockLayout layout;
    private readonly Rope? rope;
    private readonly List<float[]> blocks;
    private readonly List<bool[]> broken;
    private long tokens;

    private MeanDigest(DigestSpec spec, BlockLayout layout, Rope? rope, List<float[]> blocks, List<bool[]> broken, long tokens)
    {
        Spec = spec;
        this.layout = layout;
        this.rope = rope;
        this.blocks = blocks;
        this.broken = broken;
        this.tokens = tokens;
    }

    internal override DigestSpec Spec { get; }

    internal override long Tokens => tokens;

    internal override long NativeBytes => blocks.Sum(block => (long)block.Length * sizeof(float));

    internal override long QuarantinedChunks => broken.Sum(flags => (long)flags.Count(each => each));

    private int PerHead => layout.BlockTokens / Spec.ChunkTokens;

    internal static DigestIndex Create(DigestSpec spec, BlockLayout layout, RopeRotation? rotation) =>
        new MeanDigest(spec, layout, rotation is { } given ? new Rope(given, layout.HeadDim) : null, [], [], 0);

    internal override void SetBlock(int block, int blockTokens, ReadOnlySpan<byte> payload)
    {
        int chunks = layout.Layers * layout.KvHeads * PerHead;
        var means = new float[chunks * layout.HeadDim];
        var flags = new bool[chunks];
        var row = new float[layout.HeadDim];
        for (int layer = 0; layer < layout.Layers; layer++)
        {
            for (int head = 0; head < layout.KvHeads; head++)
            {
                for (int token = 0; token < blockTokens; token++)
                {
                    int chunk = (((layer * layout.KvHeads) + head) * PerHead) + (token / Spec.ChunkTokens);
                    RowConvert.ToSingle(layout.Dtype, payload.Slice((int)layout.KeyOffset(layer, head, token), layout.RowBytes), row);
                    rope?.Rotate(row, ((long)block * layout.BlockTokens) + token);
                    int count = Math.Min(Spec.ChunkTokens, blockTokens - (token / Spec.ChunkTokens * Spec.ChunkTokens));
                    for (int j = 0; j < row.Length; j++)
                    {
                        flags[chunk] |= !float.IsFinite(row[j]);
                        means[(chunk * row.Length) + j] += row[j] / count;
                    }
                }
            }
        }

        blocks.RemoveRange(block, blocks.Count - block);
        broken.RemoveRange(block, broken.Count - block);
        blocks.Add(means);
        broken.Add(flags);
        tokens = ((long)block * layout.BlockTokens) + blockTokens;
    }

    internal override DigestIndex Fork(int count) => new MeanDigest(
        Spec, layout, rope, [.. blocks.Take(count)], [.. broken.Take(count)], Math.Min(tokens, (long)count * layout.BlockTokens));

    internal override void Select(in SelectRequest request, Selection selection)
    {
        int chunks = (int)((tokens + Spec.ChunkTokens - 1) / Spec.ChunkTokens);
        double budget = request.Selector.Budget.Kind == BudgetKind.Tokens
            ? request.Selector.Budget.Value
            : request.Selector.Budget.Value * tokens;
        selection.UnitTokens = Spec.ChunkTokens;
        for (int head = 0; head < layout.KvHeads; head++)
        {
            var order = new List<(float Score, int Chunk)>();
            for (int chunk = 0; chunk < chunks; chunk++) order.Add((-Score(request, head, chunk), chunk));
            order.Sort();
            selection.Set(head, order.Take((int)Math.Ceiling(budget / Spec.ChunkTokens)).Select(each => each.Chunk).ToArray());
        }

        selection.UnitsScored = (long)chunks * layout.KvHeads;
        selection.DigestBytes = selection.UnitsScored * layout.HeadDim * sizeof(float);
    }

    public override void Dispose()
    {
        blocks.Clear();
        broken.Clear();
    }

    private float Score(in SelectRequest request, int head, int chunk)
    {
        int index = (((request.Layer * layout.KvHeads) + head) * PerHead) + (chunk % PerHead);
        if (broken[chunk / PerHead][index]) return float.PositiveInfinity;
        ReadOnlySpan<float> mean = blocks[chunk / PerHead].AsSpan(index * layout.HeadDim, layout.HeadDim);
        int group = request.QueryHeads / layout.KvHeads;
        float best = float.NegativeInfinity;
        for (int q = 0; q < request.Window * group; q++)
        {
            int from = (((q / group) * request.QueryHeads) + (head * group) + (q % group)) * layout.HeadDim;
            float sum = 0;
            for (int j = 0; j < mean.Length; j++) sum += request.Queries[from + j] * mean[j];
            best = MathF.Max(best, sum);
        }

        return best;
    }
}
