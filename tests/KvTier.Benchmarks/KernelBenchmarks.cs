using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using BenchmarkDotNet.Attributes;
using KvTier.Kernels;

namespace KvTier.Benchmarks;

/// <summary>Scoring, attention and selection on one thread. Rows are 256 MiB, far more than any cache holds, so that the plain sum over the
/// same bytes is what the memory gives.</summary>
public class KernelBenchmarks
{
    private const int Bytes = 256 << 20;
    private const int Queries = 4;
    private byte[] rows = [];
    private float[] queries = [];
    private float[] scores = [];
    private int[] indexes = [];
    private AttentionPart part = new(Queries, 1);

    [Params(Dtype.Float16, Dtype.BFloat16, Dtype.Int8, Dtype.Float32)]
    public Dtype Dtype { get; set; }

    [Params(128, 256)]
    public int RowLength { get; set; }

    private int RowCount => Bytes / (RowLength * Dtype.SizeBytes());

    [GlobalSetup]
    public void Setup()
    {
        Random random = new(1);
        float[] values = [.. Enumerable.Range(0, 1 << 20).Select(_ => (float)((random.NextDouble() * 4) - 2))];
        byte[] piece = new byte[values.Length * Dtype.SizeBytes()];
        RowConvert.FromSingle(Dtype, values, piece);
        rows = new byte[Bytes];
        for (int at = 0; at < Bytes; at += piece.Length) piece.CopyTo(rows, at);
        queries = values[..(Queries * RowLength)];
        scores = new float[Queries * RowCount];
        values.AsSpan(0, 65_536).CopyTo(scores);
        indexes = new int[4096];
        part = new AttentionPart(Queries, RowLength);
    }

    [Benchmark(Baseline = true)]
    public long PlainSum()
    {
        Vector512<long> a = default, b = default, c = default, d = default;
        ReadOnlySpan<Vector512<long>> vectors = MemoryMarshal.Cast<byte, Vector512<long>>(rows);
        for (int i = 0; i < vectors.Length; i += 4)
        {
            a += vectors[i];
            b += vectors[i + 1];
            c += vectors[i + 2];
            d += vectors[i + 3];
        }

        return Vector512.Sum(a + b + c + d);
    }

    [Benchmark]
    public void Score() => RowDot.Dot(Dtype, rows, RowCount, RowLength, queries, Queries, [], scores, RowCount);

    [Benchmark]
    public void Attend()
    {
        part.Clear();
        ReadOnlySpan<byte> keys = rows.AsSpan(0, Bytes / 2), values = rows.AsSpan(Bytes / 2);
        part.Add(Dtype, keys, values, RowCount / 2, queries, 0.1f);
    }

    [Benchmark]
    public int Top4096Of65536() => TopK.Select(scores.AsSpan(0, 65_536), 4096, indexes);

    [Benchmark]
    public int Top4096Of65536Unordered() => TopK.SelectUnordered(scores.AsSpan(0, 65_536), 4096, indexes);
}
