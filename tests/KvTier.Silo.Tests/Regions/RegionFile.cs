using KvTier.Protocol;
using KvTier.Silo.Tests.Support;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Regions;

/// <summary>A file of rows as an engine makes it, and the requests about it.</summary>
internal sealed class RegionFile : IDisposable
{
    public const int Stride = 8192;

    private readonly FileStream stream;

    public RegionFile(string folder, string engine, int rows, int rowBytes = 5000)
    {
        Path = System.IO.Path.Combine(folder, $"vllm_offload_{engine}.mmap");
        Rows = rows;
        RowBytes = rowBytes;
        stream = new FileStream(Path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        stream.SetLength((long)rows * Stride);
    }

    public string Path { get; }

    public int Rows { get; }

    public int RowBytes { get; }

    public FileStream Stream => stream;

    public static long In(TimeSpan time) => TimeProvider.System.GetTimestamp() + ((long)time.TotalMilliseconds * 1_000_000);

    public byte[] Row(int row)
    {
        byte[] bytes = new byte[RowBytes];
        stream.Position = (long)row * Stride;
        stream.ReadExactly(bytes);
        return bytes;
    }

    public void Fill(int row, BlockId id)
    {
        stream.Position = (long)row * Stride;
        stream.Write(Blocks.Bytes(id, RowBytes));
        stream.Flush();
    }

    public Reply TryOpen(RawClient client, string? path = null, int? rows = null, long stride = Stride) => client.Ask(
        Opcode.RegionOpen,
        new RegionOpenRequest(client.Namespace, path ?? Path, "e", rows ?? Rows, stride, RowBytes).Write);

    public int Open(RawClient client) => RegionOpenResponse.Read(TryOpen(client).Ok()).Value.Region;

    public static (PutItemStatus[] Statuses, KvError? Error) Store(
        RawClient client, int region, (string Key, int Row)[] rows, long? deadlineNs = null, AckLevel ack = AckLevel.Memory)
    {
        byte[] body = TryStore(client, region, rows, deadlineNs, ack).Ok();
        Assert.Null(PutResponse.TryRead(body, rows.Length, out PutResponse response));
        return (response.Statuses.ToArray(), response.Error);
    }

    public static Reply TryStore(
        RawClient client, int region, (string Key, int Row)[] rows, long? deadlineNs = null, AckLevel ack = AckLevel.Memory) =>
        client.Ask(Opcode.RegionStore, buffer =>
        {
            RegionStoreRequestWriter writer = RegionStoreRequestWriter.Begin(
                buffer, region, ack, 0, deadlineNs ?? In(TimeSpan.FromSeconds(20)), rows.Length);
            foreach ((string key, int row) in rows) writer.Add(System.Text.Encoding.UTF8.GetBytes(key), row);
            writer.End();
        });

    public static (GetStatus[] Statuses, KvError? Error) Load(
        RawClient client, int region, (string Key, int Row)[] rows, long? deadlineNs = null)
    {
        byte[] body = TryLoad(client, region, rows, deadlineNs).Ok();
        Assert.Null(RegionLoadResponse.TryRead(body, rows.Length, out RegionLoadResponse response));
        return (response.Statuses.ToArray(), response.Error);
    }

    public static Reply TryLoad(RawClient client, int region, (string Key, int Row)[] rows, long? deadlineNs = null) => client.Ask(
        Opcode.RegionLoad,
        buffer => RegionLoadRequest.Write(buffer, region, deadlineNs ?? In(TimeSpan.FromSeconds(20)),
            [.. rows.Select(row => client.Id(row.Key))], [.. rows.Select(row => row.Row)]));

    public void Dispose() => stream.Dispose();
}
