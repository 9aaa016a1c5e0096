namespace KvTier.Cli;

/// <summary>
/// Keys, values and queries with what real ones have: RoPE, outlier channels, sinks, words and topics that recur, heads that attend
/// sharply, to a topic, nearby or widely, queries that drift and jump, and planted needles.
/// </summary>
internal sealed class SyntheticKv
{
    // Needles lie between the sinks' chunk and the recent tokens, which every selector takes anyway.
    private const int NeedleMargin = 64;

    private SyntheticKv(SyntheticOptions options)
    {
        Options = options;
        Keys = new float[options.KvHeads * options.Tokens * options.HeadDim];
        Values = new float[Keys.Length];
        Queries = new float[options.Steps * options.QueryHeads * options.HeadDim];
    }

    /// <summary>What it was made from.</summary>
    public SyntheticOptions Options { get; }

    /// <summary>Keys after RoPE, fp32 <c>[Hkv, T, D]</c>.</summary>
    public float[] Keys { get; }

    /// <summary>Values, fp32 <c>[Hkv, T, D]</c>.</summary>
    public float[] Values { get; }

    /// <summary>Queries after RoPE at positions T, T + 1 .., fp32 <c>[steps, Hq, D]</c>.</summary>
    public float[] Queries { get; }

    /// <summary>The needles: one a depth and KV head, asked for in the last steps by the first query head of the group.</summary>
    public IReadOnlyList<Needle> Needles { get; private set; } = [];

    /// <summary>Makes the tensors; the same options give the same numbers.</summary>
    /// <exception cref="CliException">An option is out of range.</exception>
    public static SyntheticKv Generate(SyntheticOptions options)
    {
        if (options.Validate() is KvError error) throw CliException.Of(error);
        var made = new SyntheticKv(options);
        int dim = options.HeadDim;
        var text = new SyntheticText(options.Tokens, new SyntheticRandom(options.Seed, 0));
        var rope = new SyntheticRope(options.Tokens + options.Steps, dim, options.RopeTheta);
        int[] needleTokens = [.. options.NeedleDepths.Select(depth => TokenAt(options.Tokens, depth))];
        var needles = new List<Needle>[options.KvHeads];
        Parallel.For(0, options.KvHeads, h =>
        {
            var head = new SyntheticHead(text, dim, needleTokens.Length, new SyntheticRandom(options.Seed, 1 + (ulong)h));
            int size = options.Tokens * dim;
            head.Write(made.Keys.AsSpan(h * size, size), made.Values.AsSpan(h * size, size), needleTokens, rope);
            made.WriteQueries(text, head, h, needleTokens, rope);
            needles[h] = made.NeedlesOf(head, h, needleTokens);
        });
        made.Needles = [.. needles.SelectMany(list => list)];
        return made;
    }

    /// <summary>The token of a needle at a depth.</summary>
    internal static int TokenAt(int tokens, int depthPercent) =>
        NeedleMargin + (int)((long)(tokens - 1 - (2 * NeedleMargin)) * depthPercent / 100);

    private void WriteQueries(SyntheticText text, SyntheticHead head, int kvHead, int[] needleTokens, SyntheticRope rope)
    {
        int dim = Options.HeadDim;
        int firstAsking = Options.Steps - needleTokens.Length;
        for (int g = 0; g < Options.Group; g++)
        {
            int queryHead = (kvHead * Options.Group) + g;
            SyntheticHeadKind kind = SyntheticHeadKind.All[g % SyntheticHeadKind.All.Count];
            var random = new SyntheticRandom(Options.Seed, 1_000 + (ulong)queryHead);
            var queries = new SyntheticQueries(text, head, kind, Keys, kvHead, rope, random);
            for (int step = 0; step < Options.Steps; step++)
            {
                int needle = g == 0 && step >= firstAsking ? needleTokens[step - firstAsking] : -1;
                queries.Next(Queries.AsSpan(((step * Options.QueryHeads) + queryHead) * dim, dim), step, needle);
            }
        }
    }

    private List<Needle> NeedlesOf(SyntheticHead head, int kvHead, int[] needleTokens)
    {
        int dim = Options.HeadDim;
        var list = new List<Needle>(needleTokens.Length);
        for (int n = 0; n < needleTokens.Length; n++)
        {
            list.Add(new Needle(
                Options.NeedleDepths[n],
                kvHead,
                kvHead * Options.Group,
                needleTokens[n],
                Options.Steps - needleTokens.Length + n,
                head.NeedleValues.AsMemory(n * dim, dim)));
        }

        return list;
    }
}
