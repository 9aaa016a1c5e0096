using BenchmarkDotNet.Attributes;

namespace KvTier.Benchmarks;

/// <summary>CRC32C of a buffer that stays in the second-level cache, by path.</summary>
public class Crc32CBenchmarks
{
    private byte[] source = [];
    private byte[] destination = [];

    [Params(4 << 10, 1 << 20)]
    public int Bytes { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        source = new byte[Bytes];
        destination = new byte[Bytes];
        new Random(1).NextBytes(source);
    }

    [Benchmark(Baseline = true)]
    public uint OneStream() => Crc32C.Update(0, source);

    [Benchmark]
    public uint ThreeStreams() => Crc32CStreams.Update(0, source);

    [Benchmark]
    public uint Best() => Crc32C.Compute(source);

    [Benchmark]
    public uint CopyAndCompute() => Crc32C.CopyAndCompute(source, destination);
}
