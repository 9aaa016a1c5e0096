using KvTier.Kernels;

namespace KvTier.Recall.Tests.Digests;

/// <summary>Keys and values of a small sequence, drawn from a seed, as plain numbers and as the payloads of its blocks.</summary>
internal sealed class KvSample
{
    private readonly float[] keys;
    private readonly float[] values;

    internal KvSample(
        ulong seed, int tokens, int layers = 1, int kvHeads = 2, int headDim = 16, int blockTokens = 64, Dtype dtype = Dtype.Float32,
        bool clustered = false)
    {
        Profile = new ModelProfile
        {
            Name = "test",
            Kind = AttentionKind.Gqa,
            Layers = layers,
            KvHeads = kvHeads,
            HeadDim = headDim,
            BlockTokens = blockTokens,
            Dtype = dtype,
        };
        Layout = new BlockLayout(Profile);
        Tokens = tokens;
        Random = new SampleRandom(seed);
        keys = new float[layers * kvHeads * tokens * headDim];
        values = new float[keys.Length];
        Fill(clustered);
    }

    internal ModelProfile Profile { get; }

    internal BlockLayout Layout { get; }

    internal int Tokens { get; }

    internal SampleRandom Random { get; }

    internal int Blocks => (Tokens + Layout.BlockTokens - 1) / Layout.BlockTokens;

    internal Span<float> Key(int layer, int kvHead, int token) => keys.AsSpan(At(layer, kvHead, token), Layout.HeadDim);

    internal Span<float> Value(int layer, int kvHead, int token) => values.AsSpan(At(layer, kvHead, token), Layout.HeadDim);

    internal float[] Queries(int queryHeads, int window = 1, float size = 2)
    {
        float[] queries = new float[window * queryHeads * Layout.HeadDim];
        for (int i = 0; i < queries.Length; i++) queries[i] = size * Random.Normal();
        return queries;
    }

    internal byte[] Payload(int block, out int tokens)
    {
        tokens = Math.Min(Layout.BlockTokens, Tokens - (block * Layout.BlockTokens));
        return Payload(block, tokens);
    }

    internal byte[] Payload(int block, int tokens)
    {
        byte[] payload = new byte[Layout.BlockBytes];
        for (int layer = 0; layer < Layout.Layers; layer++)
        {
            for (int head = 0; head < Layout.KvHeads; head++)
            {
                for (int t = 0; t < tokens; t++)
                {
                    int token = (block * Layout.BlockTokens) + t;
                    int key = (int)Layout.KeyOffset(layer, head, t);
                    int value = (int)Layout.ValueOffset(layer, head, t);
                    RowConvert.FromSingle(Layout.Dtype, Key(layer, head, token), payload.AsSpan(key, Layout.RowBytes));
                    RowConvert.FromSingle(Layout.Dtype, Value(layer, head, token), payload.AsSpan(value, Layout.RowBytes));
                }
            }
        }

        return payload;
    }

    internal DigestIndex Build(DigestSpec spec, RopeRotation? rotation = null)
    {
        Assert.Null(spec.Validate(Profile));
        DigestIndex index = DigestIndex.Create(spec, Layout, rotation);
        Extend(index);
        return index;
    }

    /// <summary>Sets the blocks that an index lacks.</summary>
    internal void Extend(DigestIndex index)
    {
        for (int block = (int)(index.Tokens / Layout.BlockTokens); block < Blocks; block++)
            index.SetBlock(block, Math.Min(Layout.BlockTokens, Tokens - (block * Layout.BlockTokens)), Payload(block, out _));
    }

    internal Selection Select(DigestIndex index, Selector selector, float[] queries, int queryHeads, int layer = 0, int window = 1)
    {
        Selector used = selector with { Digest = index.Spec };
        Assert.Null(used.Validate(Profile));
        var selection = new Selection(Layout.KvHeads);
        index.Select(Request(used, queries, queryHeads, layer, window), selection);
        return selection;
    }

    internal SelectRequest Request(Selector selector, float[] queries, int queryHeads, int layer = 0, int window = 1) => new()
    {
        Selector = selector,
        Layer = layer,
        Queries = queries,
        QueryHeads = queryHeads,
        Window = window,
        Scale = 1 / MathF.Sqrt(Layout.HeadDim),
    };

    /// <summary>q·k / √D of a query with every token.</summary>
    internal double[] Logits(ReadOnlySpan<float> query, int layer, int kvHead)
    {
        double[] logits = new double[Tokens];
        for (int t = 0; t < Tokens; t++)
        {
            double dot = 0;
            for (int j = 0; j < Layout.HeadDim; j++) dot += (double)query[j] * Key(layer, kvHead, t)[j];
            logits[t] = dot / Math.Sqrt(Layout.HeadDim);
        }

        return logits;
    }

    private int At(int layer, int kvHead, int token) => ((((layer * Layout.KvHeads) + kvHead) * Tokens) + token) * Layout.HeadDim;

    // Keys of a run of tokens lie around a centre of their own when they are clustered; channel 3 is an outlier as in real models.
    private void Fill(bool clustered)
    {
        float[] centre = new float[Layout.HeadDim];
        for (int i = 0; i < keys.Length; i++)
        {
            int channel = i % Layout.HeadDim;
            if (channel == 0 && (i / Layout.HeadDim % 32) == 0)
                for (int j = 0; j < centre.Length; j++) centre[j] = clustered ? 3 * Random.Normal() : 0;
            float spread = clustered ? 0.2f : 1;
            keys[i] = centre[channel] + (spread * Random.Normal()) + (channel == 3 ? 4 : 0);
            values[i] = Random.Normal();
        }
    }
}
