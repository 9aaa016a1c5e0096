using BenchmarkDotNet.Attributes;
using KvTier.Protocol;

namespace KvTier.Benchmarks;

/// <summary>Encoding and decoding of batches of puts and gets, frame header and body CRC included.</summary>
[MemoryDiagnoser]
public class ProtocolBenchmarks : IDisposable
{
    private readonly FrameBuffer buffer = new(1 << 20);
    private readonly byte[] key = new byte[32];
    private BlockId[] ids = [];

    /// <summary>Blocks of a batch.</summary>
    [Params(1, 64, 1024)]
    public int Blocks { get; set; }

    /// <summary>Makes the ids.</summary>
    [GlobalSetup]
    public void Setup() => ids = [.. Enumerable.Range(0, Blocks).Select(i => new BlockId((ulong)i, (ulong)i))];

    /// <summary>Writes and reads a put.</summary>
    [Benchmark]
    public int Put()
    {
        buffer.Clear();
        int start = Frame.Begin(buffer);
        PutRequestWriter writer = PutRequestWriter.Begin(buffer, 1, AckLevel.Memory, PutFlags.None, 0, 0, Blocks);
        for (int i = 0; i < Blocks; i++) writer.Add(key, 1000, 0, uint.MaxValue);
        Frame.Complete(buffer, start, FrameKind.Request, Opcode.Put, 1, 1000L * Blocks);
        FrameHeader.TryParse(buffer.WrittenSpan, Limits.Default, out FrameHeader header);
        ReadOnlySpan<byte> body = buffer.WrittenSpan[FrameHeader.SizeBytes..];
        if (header.CheckBody(body) is not null) return -1;
        if (PutRequestReader.TryRead(body, header.PayloadLength, Limits.Default, out PutRequestReader reader) is not null) return -1;
        int total = 0;
        while (reader.TryReadNext(out PutItem item)) total += item.Length;
        return total;
    }

    /// <summary>Writes and reads a get.</summary>
    [Benchmark]
    public int Get()
    {
        buffer.Clear();
        int start = Frame.Begin(buffer);
        GetRequest.Write(buffer, 1, 0, ids);
        Frame.Complete(buffer, start, FrameKind.Request, Opcode.Get, 1);
        FrameHeader.TryParse(buffer.WrittenSpan, Limits.Default, out FrameHeader header);
        ReadOnlySpan<byte> body = buffer.WrittenSpan[FrameHeader.SizeBytes..];
        if (header.CheckBody(body) is not null) return -1;
        return GetRequest.TryRead(body, Limits.Default, out GetRequest request) is null ? request.Ids.Count : -1;
    }

    /// <summary>Gives the buffer back.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        buffer.Dispose();
        GC.SuppressFinalize(this);
    }
}
