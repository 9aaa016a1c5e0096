namespace KvTier.Protocol.Tests;

/// <summary>Encoding and decoding of hot messages allocates nothing, whatever the number of blocks.</summary>
public sealed class AllocationTests
{
    private const int Blocks = 256;

    private static readonly BlockId[] ids = [.. Enumerable.Range(0, Blocks).Select(i => new BlockId((ulong)i, ~(ulong)i))];
    private static readonly byte[] key = [.. Enumerable.Range(0, 64).Select(i => (byte)i)];

    [Theory]
    [InlineData(nameof(Put))]
    [InlineData(nameof(Get))]
    [InlineData(nameof(Prefix))]
    [InlineData(nameof(Statuses))]
    [InlineData(nameof(LocalGet))]
    [InlineData(nameof(LocalReserve))]
    [InlineData(nameof(LocalCommit))]
    [InlineData(nameof(Release))]
    public void EncodeAndDecode_OfAHotMessage_AllocatesNothing(string message)
    {
        Func<FrameBuffer, int> roundTrip = message switch
        {
            nameof(Put) => Put,
            nameof(Get) => Get,
            nameof(Prefix) => Prefix,
            nameof(Statuses) => Statuses,
            nameof(LocalGet) => LocalGet,
            nameof(LocalReserve) => LocalReserve,
            nameof(LocalCommit) => LocalCommit,
            _ => Release,
        };
        using var buffer = new FrameBuffer(256 * 1024);
        Assert.Equal(Blocks, roundTrip(buffer));
        Assert.Equal(0, Allocated.Least(() =>
        {
            for (int i = 0; i < 100; i++) roundTrip(buffer);
        }));
    }

    private static ReadOnlySpan<byte> Complete(FrameBuffer buffer, Opcode opcode, long payloadLength = 0)
    {
        Frame.Complete(buffer, 0, FrameKind.Request, opcode, 1, payloadLength);
        if (FrameHeader.TryParse(buffer.WrittenSpan, Limits.Default, out FrameHeader header) != FrameStatus.Ok) return default;
        ReadOnlySpan<byte> body = buffer.WrittenSpan[FrameHeader.SizeBytes..];
        return header.CheckBody(body) is null ? body : default;
    }

    private static void Begin(FrameBuffer buffer)
    {
        buffer.Clear();
        Frame.Begin(buffer);
    }

    private static int Put(FrameBuffer buffer)
    {
        Begin(buffer);
        PutRequestWriter writer = PutRequestWriter.Begin(buffer, 3, AckLevel.Memory, PutFlags.None, 0, 0, Blocks);
        for (int i = 0; i < Blocks; i++) writer.Add(key, 100_000 + i, 0, uint.MaxValue);
        long total = (100_000L * Blocks) + (Blocks * (Blocks - 1) / 2);
        ReadOnlySpan<byte> body = Complete(buffer, Opcode.Put, total);
        if (PutRequestReader.TryRead(body, total, Limits.Default, out PutRequestReader reader) is not null) return -1;
        int right = 0;
        while (reader.TryReadNext(out PutItem item)) right += item.Length == 100_000 + right && item.Key.SequenceEqual(key) ? 1 : 0;
        return right;
    }

    private static int Get(FrameBuffer buffer)
    {
        Begin(buffer);
        GetRequest.Write(buffer, 3, 0, ids);
        if (GetRequest.TryRead(Complete(buffer, Opcode.Get), Limits.Default, out GetRequest request) is not null) return -1;
        if (request.Ids[Blocks - 1] != ids[Blocks - 1]) return -2;
        Begin(buffer);
        GetResponseWriter writer = GetResponseWriter.Begin(buffer, Blocks);
        var hit = new GetItem(GetStatus.HostHit, 10, 0, 1, 10);
        for (int i = 0; i < Blocks; i++) writer.Add(i % 2 == 0 ? hit : GetItem.Miss(MissReason.Evicted));
        ReadOnlySpan<byte> body = Complete(buffer, Opcode.Get, Blocks / 2 * 10);
        if (GetResponseReader.TryRead(body, Blocks, Blocks / 2 * 10, Limits.Default, out GetResponseReader reader) is not null) return -3;
        int right = 0;
        while (reader.TryReadNext(out GetItem item)) right += item.Status.IsHit() == (right % 2 == 0) ? 1 : 0;
        return right;
    }

    private static int Prefix(FrameBuffer buffer)
    {
        Begin(buffer);
        PrefixRequest.Write(buffer, 3, PrefixFlags.Touch, ids);
        if (PrefixRequest.TryRead(Complete(buffer, Opcode.Prefix), Limits.Default, out PrefixRequest request) is not null) return -1;
        Span<TierSet> tiers = stackalloc TierSet[Blocks];
        tiers.Fill(TierSet.Host);
        Begin(buffer);
        PrefixResponse.Write(buffer, tiers);
        ReadOnlySpan<byte> body = Complete(buffer, Opcode.Prefix);
        return PrefixResponse.TryRead(body, request.Ids.Count, out PrefixResponse response) is null ? response.Count : -2;
    }

    private static int Statuses(FrameBuffer buffer)
    {
        Begin(buffer);
        IdsRequest.Write(buffer, 3, ids);
        if (IdsRequest.TryRead(Complete(buffer, Opcode.Touch), Limits.Default, out IdsRequest request) is not null) return -1;
        Span<ItemStatus> statuses = stackalloc ItemStatus[Blocks];
        Begin(buffer);
        StatusesResponse.Write(buffer, statuses);
        ReadOnlySpan<byte> body = Complete(buffer, Opcode.Touch);
        return StatusesResponse.TryRead(body, request.Ids.Count, out ReadOnlySpan<ItemStatus> read) is null ? read.Length : -2;
    }

    private static int LocalGet(FrameBuffer buffer)
    {
        Begin(buffer);
        LocalGetRequest.Write(buffer, 3, 0, 1000, ids);
        if (LocalGetRequest.TryRead(Complete(buffer, Opcode.LocalGet), Limits.Default, out _) is not null) return -1;
        Begin(buffer);
        LocalGetResponseWriter writer = LocalGetResponseWriter.Begin(buffer, 1, Blocks);
        for (int i = 0; i < Blocks; i++) writer.Add(new LocalGetItem(GetStatus.HostHit, (ulong)i + 1, 4096 * i, 100, 0, 7));
        ReadOnlySpan<byte> body = Complete(buffer, Opcode.LocalGet);
        if (LocalGetResponseReader.TryRead(body, Blocks, 1 << 30, Limits.Default, out LocalGetResponseReader reader) is not null) return -2;
        int right = 0;
        while (reader.TryReadNext(out LocalGetItem item)) right += item.Lease == (ulong)right + 1 ? 1 : 0;
        return right;
    }

    private static int LocalReserve(FrameBuffer buffer)
    {
        Begin(buffer);
        LocalReserveRequestWriter writer = LocalReserveRequestWriter.Begin(buffer, 3, PutFlags.None, 0, 0, 1000, Blocks);
        for (int i = 0; i < Blocks; i++) writer.Add(key, i, 0);
        ReadOnlySpan<byte> body = Complete(buffer, Opcode.LocalReserve);
        if (LocalReserveRequestReader.TryRead(body, Limits.Default, out LocalReserveRequestReader request) is not null) return -1;
        while (request.TryReadNext(out ReserveItem item))
        {
            if (item.Key.Length != key.Length) return -2;
        }

        Begin(buffer);
        LocalReserveResponseWriter answer = LocalReserveResponseWriter.Begin(buffer, 1, Blocks);
        for (int i = 0; i < Blocks; i++) answer.Add(new ReservedItem(ReserveStatus.Reserved, (ulong)i, 512 * i, 512));
        answer.End(null);
        body = Complete(buffer, Opcode.LocalReserve);
        if (LocalReserveResponseReader.TryRead(body, Blocks, 1 << 30, out LocalReserveResponseReader reader) is not null) return -3;
        int right = 0;
        while (reader.TryReadNext(out ReservedItem item)) right += item.Reservation == (ulong)right ? 1 : 0;
        return right;
    }

    private static int LocalCommit(FrameBuffer buffer)
    {
        Begin(buffer);
        LocalCommitRequestWriter writer = LocalCommitRequestWriter.Begin(buffer, AckLevel.Memory, 0, Blocks);
        for (int i = 0; i < Blocks; i++) writer.Add(new CommitItem((ulong)i, 5));
        ReadOnlySpan<byte> body = Complete(buffer, Opcode.LocalCommit);
        if (LocalCommitRequestReader.TryRead(body, Limits.Default, out LocalCommitRequestReader reader) is not null) return -1;
        int right = 0;
        while (reader.TryReadNext(out CommitItem item)) right += item.Reservation == (ulong)right ? 1 : 0;
        return right;
    }

    private static int Release(FrameBuffer buffer)
    {
        Span<ulong> leases = stackalloc ulong[Blocks];
        for (int i = 0; i < Blocks; i++) leases[i] = (ulong)i;
        Begin(buffer);
        NumbersNotice.Write(buffer, leases);
        if (NumbersNotice.TryRead(Complete(buffer, Opcode.LocalRelease), Blocks, out NumberList list) is not null) return -1;
        return list[Blocks - 1] == Blocks - 1 ? list.Count : -2;
    }
}
