using KvTier.Kernels;

namespace KvTier.Recall.Tests;

/// <summary>A block to be stored.</summary>
internal sealed record BlockPayload(string Key, byte[] Bytes);

/// <summary>Keys, values and queries from a seed, and what attention over them is, in double precision.</summary>
internal sealed class KvContext
{
    private readonly ModelProfile profile;
    private readonly BlockLayout layout;
    private readonly string key;
    private readonly List<byte[]> payloads = [];

    internal KvContext(ModelProfile profile, long tokens, int seed)
    {
        this.profile = profile;
        layout = new BlockLayout(profile);
        key = $"seed-{seed}";
        Tokens = tokens;
        var random = new Random(seed);
        int blocks = (int)((tokens + layout.BlockTokens - 1) / layout.BlockTokens);
        var values = new float[layout.BlockBytes / layout.Dtype.SizeBytes()];
        for (int block = 0; block < blocks; block++)
        {
            for (int i = 0; i < values.Length; i++) values[i] = Gauss(random);
            var bytes = new byte[layout.BlockBytes];
            RowConvert.FromSingle(layout.Dtype, values, bytes);
            payloads.Add(bytes);
        }
    }

    private KvContext(KvContext before, long kept, int more, int seed)
    {
        profile = before.profile;
        layout = before.layout;
        Tokens = kept + more;
        key = $"{before.key}-{kept}-{seed}";
        var other = new KvContext(profile, Tokens, seed);
        for (int block = 0; block < other.payloads.Count; block++)
        {
            byte[] bytes = other.payloads[block];
            for (int token = 0; token < layout.BlockTokens && ((long)block * layout.BlockTokens) + token < kept; token++)
                CopyToken(before.payloads[block], bytes, token);
            payloads.Add(bytes);
        }
    }

    internal long Tokens { get; }

    internal IReadOnlyList<byte[]> Payloads => payloads;

    internal static float Gauss(Random random) =>
        (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));

    internal static float[] Queries(int count, int seed)
    {
        var random = new Random(seed);
        var queries = new float[count];
        for (int i = 0; i < count; i++) queries[i] = Gauss(random);
        return queries;
    }

    internal IEnumerable<BlockPayload> Blocks() => payloads.Select((bytes, i) => new BlockPayload($"{key}-{i}-{Tokens}", bytes));

    /// <summary>A context whose first tokens are this one's.</summary>
    internal KvContext Continue(long kept, int more, int seed) => new(this, kept, more, seed);

    /// <summary>Rows as they are stored.</summary>
    internal ReadOnlySpan<byte> Row(int layer, int head, long token, bool value)
    {
        int inBlock = (int)(token % layout.BlockTokens);
        long offset = value ? layout.ValueOffset(layer, head, inBlock) : layout.KeyOffset(layer, head, inBlock);
        return payloads[(int)(token / layout.BlockTokens)].AsSpan((int)offset, layout.RowBytes);
    }

    /// <summary>Sets the first element of a key.</summary>
    internal void SetKey(int layer, int head, long token, float value)
    {
        long offset = layout.KeyOffset(layer, head, (int)(token % layout.BlockTokens));
        RowConvert.FromSingle(layout.Dtype, [value], payloads[(int)(token / layout.BlockTokens)].AsSpan((int)offset));
    }

    /// <summary>o and lse of one query head over some tokens.</summary>
    internal (double[] Output, double Lse) Attend(
        int layer, int head, IEnumerable<long> tokens, ReadOnlySpan<float> query, double temperature = 1)
    {
        float[] q = query.ToArray();
        double scale = 1 / (Math.Sqrt(layout.HeadDim) * temperature);
        var rows = tokens.Select(
            token => (Logit: Dot(q, KeyOf(layer, head, token)) * scale, Value: Elements(layer, head, token, value: true))).ToList();
        var output = new double[layout.HeadDim];
        if (rows.Count == 0) return (output, double.NegativeInfinity);
        double max = rows.Max(row => row.Logit);
        double sum = rows.Sum(row => Math.Exp(row.Logit - max));
        foreach ((double logit, double[] value) in rows)
        {
            for (int j = 0; j < output.Length; j++) output[j] += Math.Exp(logit - max) / sum * value[j];
        }

        return (output, max + Math.Log(sum));
    }

    /// <summary>A key as attention sees it.</summary>
    internal double[] KeyOf(int layer, int head, long token)
    {
        double[] row = Elements(layer, head, token, value: false);
        if (!profile.Rope.PreRotation) return row;
        RopeRotation rope = Shapes.Rotation;
        double position = (rope.FirstPosition + token) / rope.ScalingFactor;
        for (int j = 0; j < rope.RotaryDim / 2; j++)
        {
            double angle = position * Math.Pow(rope.Theta, -2.0 * j / rope.RotaryDim);
            (double x, double y) = (row[j], row[j + (rope.RotaryDim / 2)]);
            row[j] = (x * Math.Cos(angle)) - (y * Math.Sin(angle));
            row[j + (rope.RotaryDim / 2)] = (x * Math.Sin(angle)) + (y * Math.Cos(angle));
        }

        return row;
    }

    private void CopyToken(byte[] from, byte[] to, int token)
    {
        for (int layer = 0; layer < layout.Layers; layer++)
        {
            for (int head = 0; head < layout.KvHeads; head++)
            {
                foreach (long offset in new[] { layout.KeyOffset(layer, head, token), layout.ValueOffset(layer, head, token) })
                    from.AsSpan((int)offset, layout.RowBytes).CopyTo(to.AsSpan((int)offset));
            }
        }
    }

    private static double Dot(float[] query, double[] key)
    {
        double sum = 0;
        for (int j = 0; j < key.Length; j++) sum += query[j] * key[j];
        return sum;
    }

    private double[] Elements(int layer, int head, long token, bool value)
    {
        var row = new float[layout.HeadDim];
        RowConvert.ToSingle(layout.Dtype, Row(layer, head, token, value), row);
        return Array.ConvertAll(row, each => (double)each);
    }
}
