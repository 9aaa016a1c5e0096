using KvTier.Kernels;

namespace KvTier.Cli;

/// <summary>Which tokens a reference takes.</summary>
internal enum ReferenceKind
{
    /// <summary>The tokens of largest p, summed over the query heads of the KV head: the best that any choice of tokens can do without
    /// an estimate.</summary>
    Oracle,

    /// <summary>The chunks of largest p: the best that any choice of whole chunks can do without an estimate.</summary>
    OracleChunks,

    /// <summary>The first chunk and the last tokens, whatever is asked (StreamingLLM).</summary>
    Streaming,
}

/// <summary>A choice that looks at the truth, or at nothing: what selectors are held against. It reads no digests; the time and the
/// bytes that finding the tokens would take are not counted.</summary>
internal sealed class ReferenceRecall : IRecallSource
{
    private const int ChunkTokens = 16;
    private readonly ExactAttention exact;
    private readonly RecallTensors tensors;
    private readonly ReferenceKind kind;
    private readonly int budget;

    /// <summary>A reference at a budget.</summary>
    public ReferenceRecall(ExactAttention exact, ReferenceKind kind, int budget)
    {
        this.exact = exact;
        this.kind = kind;
        this.budget = budget;
        tensors = exact.Tensors;
    }

    /// <summary>Its name in tables.</summary>
    public static string NameOf(ReferenceKind kind) => kind switch
    {
        ReferenceKind.Oracle => "oracle",
        ReferenceKind.OracleChunks => "oracle-chunks",
        _ => "streaming",
    };

    /// <summary>Tokens that it takes or leaves together.</summary>
    public static int ChunkTokensOf(ReferenceKind kind) => kind == ReferenceKind.OracleChunks ? ChunkTokens : 1;

    /// <inheritdoc/>
    public Task<StepChoice> RecallAsync(int step, CancellationToken cancel)
    {
        int[][] tokens = new int[tensors.KvHeads][];
        float[] output = new float[tensors.QueryHeads * tensors.HeadDim];
        Parallel.For(0, tensors.KvHeads, new ParallelOptions { CancellationToken = cancel }, kvHead =>
        {
            tokens[kvHead] = Choose(step, kvHead);
            double[] row = new double[tensors.HeadDim];
            for (int head = kvHead * tensors.Group; head < (kvHead + 1) * tensors.Group; head++)
            {
                exact.OutputOf(step, head, tokens[kvHead], row);
                for (int j = 0; j < row.Length; j++) output[(head * row.Length) + j] = (float)row[j];
            }
        });
        long read = tokens.Sum(chosen => (long)chosen.Length) * 2 * tensors.HeadDim * tensors.Dtype.SizeBytes();
        var cost = new RecallCost(0, 0, read, 0, 0, 0, Reused: false, Certified: true);
        return Task.FromResult(new StepChoice(tokens, output, cost));
    }

    private int[] Choose(int step, int kvHead)
    {
        if (kind == ReferenceKind.Streaming)
        {
            int sinks = Math.Min(ChunkTokens, budget / 2);
            return [.. Enumerable.Range(0, sinks), .. Enumerable.Range(tensors.Tokens - (budget - sinks), budget - sinks)];
        }

        float[] mass = MassOf(step, kvHead);
        if (kind == ReferenceKind.Oracle) return [.. Best(mass, budget).Order()];
        float[] chunkMass = new float[(tensors.Tokens + ChunkTokens - 1) / ChunkTokens];
        for (int t = 0; t < mass.Length; t++) chunkMass[t / ChunkTokens] += mass[t];
        int[] chunks = Best(chunkMass, (budget + ChunkTokens - 1) / ChunkTokens);
        var chosen = new List<int>(budget);
        foreach (int chunk in chunks)
        {
            int count = Math.Min(ChunkTokens, tensors.Tokens - (chunk * ChunkTokens));
            if (chosen.Count + count <= budget) chosen.AddRange(Enumerable.Range(chunk * ChunkTokens, count));
        }

        chosen.Sort();
        return [.. chosen];
    }

    /// <summary>p of every token, summed over the query heads of a KV head.</summary>
    private float[] MassOf(int step, int kvHead)
    {
        float[] mass = new float[tensors.Tokens];
        for (int head = kvHead * tensors.Group; head < (kvHead + 1) * tensors.Group; head++)
        {
            ReadOnlySpan<float> p = exact[step].Probabilities.AsSpan(head * mass.Length, mass.Length);
            for (int t = 0; t < mass.Length; t++) mass[t] += p[t];
        }

        return mass;
    }

    /// <summary>The places of the largest, largest first.</summary>
    private static int[] Best(float[] mass, int count)
    {
        int[] indexes = new int[Math.Min(count, mass.Length)];
        int found = TopK.Select(mass, indexes.Length, indexes);
        Array.Resize(ref indexes, found);
        return indexes;
    }
}
