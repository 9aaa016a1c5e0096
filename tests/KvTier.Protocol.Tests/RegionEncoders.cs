using System.Text;

namespace KvTier.Protocol.Tests;

/// <summary>The golden frames of engine regions made of typed values.</summary>
internal static class RegionEncoders
{
    private const long Deadline = 123456789012345;
    private const long Epoch = 42;
    private static readonly BlockId id1 = BlockId.Read(Convert.FromHexString("000102030405060708090a0b0c0d0e0f"));
    private static readonly BlockId id2 = BlockId.Read(Convert.FromHexString("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"));

    public static IEnumerable<KeyValuePair<string, Action<FrameBuffer>>> All =>
    [
        new("regionOpen.request", static b =>
            new RegionOpenRequest(7, "/dev/shm/vllm_offload_e1.mmap", "e1", 1024, 4 << 20, 2 << 20).Write(b)),
        new("regionOpen.response", static b => new RegionOpenResponse(1, 4L << 30).Write(b)),
        new("regionStore.request", static b => Store(b, AckLevel.Ssd, 0, default, ("key-1", 5), ("key-2", 1023))),
        new("regionStore.request.routed", static b =>
            Store(b, AckLevel.Memory, 60_000, new Route(Epoch, RouteRole.Client, []), ("key-1", 0))),
        new("regionStore.response", static b => PutResponse.Write(b, [PutItemStatus.Stored, PutItemStatus.Refused],
            new KvError(ErrorCode.DeadlineExceeded, "region.row[1023]", "too late", "a copy that ends before the request's deadline"))),
        new("regionLoad.request", static b => RegionLoadRequest.Write(b, 1, Deadline, [id1, id2], [9, 0])),
        new("regionLoad.request.routed", static b =>
            RegionLoadRequest.Write(b, 1, Deadline, [id1, id2], [9, 0], new Route(Epoch, RouteRole.Client, [id1, id2]))),
        new("regionLoad.response", static b => RegionLoadResponse.Write(b, [GetStatus.SsdHit, GetStatus.Evicted], null)),
        new("regionLoad.response.routed", static b =>
            RegionLoadResponse.Write(b, [GetStatus.HostHit, GetStatus.Moved], null, Epoch)),
        new("regionClose.request", static b => new RegionCloseRequest(1).Write(b)),
        new("regionClose.response", EmptyBody.Write),
    ];

    private static void Store(FrameBuffer buffer, AckLevel ack, long ttlMs, Route route, params ReadOnlySpan<(string Key, int Row)> rows)
    {
        RegionStoreRequestWriter writer = RegionStoreRequestWriter.Begin(buffer, 1, ack, ttlMs, Deadline, rows.Length, route);
        foreach ((string key, int row) in rows) writer.Add(Encoding.UTF8.GetBytes(key), row);
        writer.End();
    }
}
