using KvTier.Kernels;

namespace KvTier.Cli;

/// <summary>The data of the recall rows, in memory and as <c>.npy</c> files for the baseline: keys and values of independent normal
/// numbers, rounded to fp16, with the geometry of one layer of Llama 3.1 8B.</summary>
internal sealed class RecallArrays
{
    /// <summary>KV heads (Hkv).</summary>
    public const int KvHeads = 8;

    /// <summary>Query heads (Hq).</summary>
    public const int QueryHeads = 32;

    /// <summary>Elements of a row (D).</summary>
    public const int HeadDim = 128;

    /// <summary>Tokens of a chunk.</summary>
    public const int ChunkTokens = 16;

    /// <summary>Different queries that the rows go round.</summary>
    public const int Steps = 64;

    private RecallArrays(RecallTensors tensors, float[] scores)
    {
        Tensors = tensors;
        Scores = scores;
        Chunks = tensors.Tokens / ChunkTokens;
        Means = new float[KvHeads * Chunks * HeadDim];
        Bounds = new float[KvHeads * Chunks * 2 * HeadDim];
        Parallel.For(0, KvHeads * Chunks, ReduceChunk);
    }

    /// <summary>Keys, values and queries.</summary>
    public RecallTensors Tensors { get; }

    /// <summary>Chunks of a KV head.</summary>
    public int Chunks { get; }

    /// <summary>Means of the keys of every chunk, <c>[Hkv, chunks, D]</c>.</summary>
    public float[] Means { get; }

    /// <summary>Largest, then smallest value of every channel of every chunk, <c>[Hkv, chunks, 2 D]</c>.</summary>
    public float[] Bounds { get; }

    /// <summary>Numbers to choose the largest of.</summary>
    public float[] Scores { get; }

    /// <summary>Makes the data.</summary>
    public static RecallArrays Make(int tokens, int scoreCount)
    {
        float[] normal = Normal((2L * KvHeads * tokens * HeadDim) + (Steps * QueryHeads * HeadDim), seed: 1);
        int rows = KvHeads * tokens * HeadDim;
        var tensors = new RecallTensors(KvHeads, QueryHeads, tokens, HeadDim, Steps, Dtype.Float32)
        {
            Keys = normal[..rows],
            Values = normal[rows..(2 * rows)],
            Queries = normal[(2 * rows)..],
        };
        return new RecallArrays(tensors.RoundTo(Dtype.Float16), Normal(scoreCount, seed: 2));
    }

    /// <summary>Writes every array for the baseline.</summary>
    public void Write(string folder)
    {
        RecallTensorFiles.Write(folder, Tensors);
        // The baseline computes in fp32.
        int[] shape = [KvHeads, Tensors.Tokens, HeadDim];
        NpyWriter.Write(Path.Combine(folder, "keys.npy"), Dtype.Float32, shape, Tensors.Keys);
        NpyWriter.Write(Path.Combine(folder, "values.npy"), Dtype.Float32, shape, Tensors.Values);
        NpyWriter.Write(Path.Combine(folder, "means.npy"), Dtype.Float32, [KvHeads, Chunks, HeadDim], Means);
        NpyWriter.Write(Path.Combine(folder, "bounds.npy"), Dtype.Float32, [KvHeads, Chunks, 2 * HeadDim], Bounds);
        NpyWriter.Write(Path.Combine(folder, "scores.npy"), Dtype.Float32, [Scores.Length], Scores);
    }

    /// <summary>Numbers as fp16.</summary>
    public static byte[] Halves(ReadOnlySpan<float> values)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(values.Length * sizeof(ushort));
        RowConvert.FromSingle(Dtype.Float16, values, bytes);
        return bytes;
    }

    private void ReduceChunk(int chunk)
    {
        ReadOnlySpan<float> keys = Tensors.Keys.AsSpan(chunk * ChunkTokens * HeadDim, ChunkTokens * HeadDim);
        Span<float> mean = Means.AsSpan(chunk * HeadDim, HeadDim);
        Span<float> high = Bounds.AsSpan(chunk * 2 * HeadDim, HeadDim);
        Span<float> low = Bounds.AsSpan((chunk * 2 * HeadDim) + HeadDim, HeadDim);
        high.Fill(float.NegativeInfinity);
        low.Fill(float.PositiveInfinity);
        for (int i = 0; i < keys.Length; i++)
        {
            int j = i % HeadDim;
            mean[j] += keys[i] / ChunkTokens;
            high[j] = MathF.Max(high[j], keys[i]);
            low[j] = MathF.Min(low[j], keys[i]);
        }
    }

    private static float[] Normal(long count, int seed)
    {
        float[] values = GC.AllocateUninitializedArray<float>((int)count);
        const int Piece = 1 << 20;
        Parallel.For(0, (int)((count + Piece - 1) / Piece), piece =>
        {
            var random = new Random((seed * 1_000_003) + piece);
            for (long i = (long)piece * Piece; i < Math.Min(count, (piece + 1L) * Piece); i++)
                values[i] = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        });
        return values;
    }
}
