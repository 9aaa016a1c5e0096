namespace KvTier.Protocol.Tests;

/// <summary>Each refusal names the field, its value and what is allowed.</summary>
public sealed class ValidationTests
{
    private delegate void BodyWriter(MessagePackWriter writer);

    private static readonly byte[] id = new byte[16];

    private static readonly Dictionary<string, (string Message, BodyWriter Body)> cases = new()
    {
        ["put.request: LimitExceeded: put.items[0].key.length is 513; allowed: 512"] =
            ("put.request", w => Put(w, new byte[513], 0)),
        ["put.request: InvalidArgument: put.items[0].key.length is 0; allowed: 1 to 512"] =
            ("put.request", w => Put(w, [], 0)),
        ["put.request: LimitExceeded: put.items[0].length is 67108865; allowed: 67108864"] =
            ("put.request", w => Put(w, [1], (64 << 20) + 1)),
        ["put.request: LimitExceeded: put.ack is 3; allowed: 2"] = ("put.request", w => Put(w, [1], 0, ack: 3)),
        ["put.request: LimitExceeded: put.flags is 2; allowed: 1"] = ("put.request", w => Put(w, [1], 0, flags: 2)),
        ["put.request: LimitExceeded: put.ns is 65536; allowed: 65535"] = ("put.request", w => Put(w, [1], 0, ns: 65536)),
        ["put.request: LimitExceeded: put.deadline is 300001; allowed: 300000"] =
            ("put.request", w => Put(w, [1], 0, deadline: 300_001)),
        ["put.request: LimitExceeded: put.ttl is 3153600000001; allowed: 3153600000000"] =
            ("put.request", w => Put(w, [1], 0, ttl: 3_153_600_000_001)),
        ["put.request: InvalidArgument: put.ttl is -1; allowed: an integer from 0 to 3153600000000"] =
            ("put.request", w => Put(w, [1], 0, ttl: -1)),
        ["put.request: InvalidArgument: put.payloadLength is 0; allowed: 9, the sum of the items' lengths"] =
            ("put.request", w => Put(w, [1], 9)),
        ["put.request: LimitExceeded: put.items.count is 4097; allowed: 4096"] = ("put.request", ManyItems),
        ["put.request: InvalidArgument: put.body is 2 elements; allowed: 6 or more"] = ("put.request", w => Numbers(w, 1, 0)),
        ["put.request: InvalidArgument: put.body is missing; allowed: an array"] = ("put.request", _ => { }
        ),
        ["put.request: InvalidArgument: put.ns is string; allowed: an integer from 0 to 65535"] = ("put.request", TextAsNumber),
        ["get.request: InvalidArgument: get.ids is 17 bytes; allowed: a multiple of 16 bytes"] =
            ("get.request", w => Get(w, new byte[17], null)),
        ["get.request: LimitExceeded: get.ids.count is 4097; allowed: 4096"] = ("get.request", w => Get(w, new byte[4097 * 16], null)),
        ["get.request: InvalidArgument: get.ranges.count is 2; allowed: 1, one for each id, or nil"] =
            ("get.request", w => Get(w, id, new byte[16])),
        ["get.request: InvalidArgument: get.items[0].range is offset 4294967295, length 0; allowed: within 67108864 bytes"] =
            ("get.request", w => Get(w, id, [255, 255, 255, 255, 0, 0, 0, 0])),
        ["pin.request: InvalidArgument: pin.pinMs is 0; allowed: an integer from 1 to 86400000"] =
            ("pin.request", w => Numbers(w, 1, 0, 0)),
        ["localGet.request: LimitExceeded: localGet.leaseMs is 60001; allowed: 60000"] =
            ("localGet.request", w => Numbers(w, 1, 0, 60_001, 0)),
        ["localRelease.notice: InvalidArgument: notice.numbers is 12 bytes; allowed: a multiple of 8 bytes"] =
            ("localRelease.notice", w => Single(w, new byte[12])),
        ["hello.request: InvalidArgument: hello.probe.length is 4; allowed: 16"] = ("hello.request", ShortProbe),
        ["get.request: InvalidArgument: get.groups.count is 2; allowed: 1, one for each block, or nil"] =
            ("get.request", w => Routed(w, 3, 0, new byte[32])),
        ["get.request: InvalidArgument: get.groups is 17 bytes; allowed: a multiple of 16 bytes"] =
            ("get.request", w => Routed(w, 3, 0, new byte[17])),
        ["get.request: LimitExceeded: get.role is 5; allowed: 4"] = ("get.request", w => Routed(w, 3, 5, null)),
        ["get.request: InvalidArgument: get.epoch is -1; allowed: an integer from 0 to 9223372036854775807"] =
            ("get.request", w => Routed(w, -1, 0, null)),
        ["clusterMap.request: InvalidArgument: clusterMap.knownEpoch is string; allowed: an integer from 0 to 9223372036854775807"] =
            ("clusterMap.request", w => Text(w, "1")),
        ["clusterAdmin.request: InvalidArgument: clusterAdmin.verb.length is 0; allowed: 1 to 64"] =
            ("clusterAdmin.request", w => Text(w, "", 3)),
        ["delete.request: InvalidArgument: request.body is 1 bytes after the array; allowed: nothing"] = ("delete.request", Trailing),
        ["namespaceOpen.request: InvalidArgument: namespaceOpen.profile.dtype is fp7; allowed: "
            + "raw, fp32, fp16, bf16, fp8_e4m3, fp8_e5m2, int8"] = ("namespaceOpen.request", w => Open(w, "acme", "fp7")),
        ["namespaceOpen.request: InvalidArgument: tenant is ACME; allowed: 1 to 128 characters of [a-z0-9._-]"] =
            ("namespaceOpen.request", w => Open(w, "ACME", "bf16")),
    };

    public static TheoryData<string> Cases => [.. cases.Keys];

    [Theory]
    [MemberData(nameof(Cases))]
    public void TryRead_OfAFieldThatIsNotAllowed_NamesFieldValueAndLimit(string expected)
    {
        (string message, BodyWriter write) = cases[expected];
        using var body = new FrameBuffer();
        write(new MessagePackWriter(body));
        using var output = new FrameBuffer();
        Assert.Equal(expected, $"{message}: {Recode.ByName[message](body.WrittenSpan, 0, output)}");
        Assert.Equal(0, output.WrittenCount);
    }

    [Fact]
    public void TryRead_OfFieldsThatALaterVersionAdded_SkipsThem()
    {
        using var body = new FrameBuffer();
        var writer = new MessagePackWriter(body);
        writer.WriteArrayHeader(10);
        foreach (int value in (ReadOnlySpan<int>)[7, 0, 0, 0, 0]) writer.Write(value);
        writer.WriteArrayHeader(2);
        foreach (byte key in (ReadOnlySpan<byte>)[1, 2])
        {
            writer.WriteArrayHeader(6);
            writer.Write([key]);
            foreach (int value in (ReadOnlySpan<int>)[4, 0, 9]) writer.Write(value);
            writer.WriteMapHeader(1);
            writer.Write("new");
            writer.Write(1.5);
            writer.WriteNil();
        }

        writer.Write(3);
        writer.Write(0);
        writer.WriteNil();
        writer.Write("newer");
        Assert.Null(PutRequestReader.TryRead(body.WrittenSpan, 8, Limits.Default, out PutRequestReader request));
        Assert.True(request.TryReadNext(out _));
        Assert.True(request.TryReadNext(out PutItem second));
        Assert.Equal((2, 4, 9u), (second.Key[0], second.Length, second.Check));
        Assert.False(request.TryReadNext(out _));
    }

    [Fact]
    public void TryRead_OfAnAnswerWithAnotherCount_IsRefused()
    {
        using var buffer = new FrameBuffer();
        StatusesResponse.Write(buffer, [ItemStatus.Done]);
        Assert.Equal("response.statuses.length", StatusesResponse.TryRead(buffer.WrittenSpan, 2, out _)!.Field);
        buffer.Clear();
        GetResponseWriter.Begin(buffer, 1).Add(new GetItem(GetStatus.HostHit, 5, 0, 1, 5));
        Assert.Equal("get.items.count", GetResponseReader.TryRead(buffer.WrittenSpan, 2, 5, Limits.Default, out _)!.Field);
        Assert.Equal("get.payloadLength", GetResponseReader.TryRead(buffer.WrittenSpan, 1, 4, Limits.Default, out _)!.Field);
    }

    [Fact]
    public void TryRead_OfAHitOutsideOfTheArena_IsRefused()
    {
        using var buffer = new FrameBuffer();
        LocalGetResponseWriter.Begin(buffer, 1, 1).Add(new LocalGetItem(GetStatus.HostHit, 1, 4000, 97, 0, 1));
        Assert.Equal("localGet.items[0].length", LocalGetResponseReader.TryRead(buffer.WrittenSpan, 1, 4096, Limits.Default, out _)!.Field);
        Assert.Null(LocalGetResponseReader.TryRead(buffer.WrittenSpan, 1, 4097, Limits.Default, out _));
    }

    [Fact]
    public void Write_OfALongError_CutsItsTextsSoThatItCanBeRead()
    {
        using var buffer = new FrameBuffer();
        ErrorBody.Write(buffer, KvError.InvalidArgument(new string('é', 5000), new string('a', 5000), "\ud800"));
        KvError error = ErrorBody.Read(buffer.WrittenSpan);
        Assert.Equal((512, 1024, "\ufffd"), (error.Field.Length, error.Value.Length, error.Limit));
    }

    private static void Put(
        MessagePackWriter writer, byte[] key, int length, int ns = 1, int ack = 0, int flags = 0, long ttl = 0, int deadline = 0)
    {
        writer.WriteArrayHeader(6);
        foreach (long value in (ReadOnlySpan<long>)[ns, ack, flags, ttl, deadline]) writer.Write(value);
        writer.WriteArrayHeader(1);
        writer.WriteArrayHeader(4);
        writer.Write(key);
        foreach (int value in (ReadOnlySpan<int>)[length, 0, 0]) writer.Write(value);
    }

    private static void ManyItems(MessagePackWriter writer)
    {
        writer.WriteArrayHeader(6);
        for (int i = 0; i < 5; i++) writer.Write(0);
        writer.WriteArrayHeader(4097);
        for (int i = 0; i < 4097; i++) writer.WriteNil();
    }

    private static void Numbers(MessagePackWriter writer, params int[] values)
    {
        writer.WriteArrayHeader(values.Length);
        foreach (int value in values) writer.Write(value);
    }

    private static void TextAsNumber(MessagePackWriter writer)
    {
        writer.WriteArrayHeader(6);
        for (int i = 0; i < 6; i++) writer.Write("1");
    }

    private static void Get(MessagePackWriter writer, byte[] ids, byte[]? ranges)
    {
        writer.WriteArrayHeader(4);
        writer.Write(1);
        writer.Write(0);
        writer.Write(ids);
        if (ranges is null) writer.WriteNil();
        else writer.Write(ranges);
    }

    private static void Routed(MessagePackWriter writer, int epoch, int role, byte[]? groups)
    {
        writer.WriteArrayHeader(7);
        writer.Write(1);
        writer.Write(0);
        writer.Write(id);
        writer.WriteNil();
        writer.Write(epoch);
        writer.Write(role);
        if (groups is null) writer.WriteNil();
        else writer.Write(groups);
    }

    private static void Text(MessagePackWriter writer, string text, int fields = 1)
    {
        writer.WriteArrayHeader(fields);
        writer.Write(text);
        for (int i = 1; i < fields; i++) writer.WriteNil();
    }

    private static void Single(MessagePackWriter writer, byte[] value)
    {
        writer.WriteArrayHeader(1);
        writer.Write(value);
    }

    private static void ShortProbe(MessagePackWriter writer)
    {
        writer.WriteArrayHeader(5);
        writer.Write(1);
        writer.Write(1);
        writer.Write("c");
        writer.WriteNil();
        writer.Write(new byte[4]);
    }

    private static void Trailing(MessagePackWriter writer)
    {
        writer.WriteArrayHeader(2);
        writer.Write(1);
        writer.Write(id);
        writer.WriteNil();
    }

    private static void Open(MessagePackWriter writer, string tenant, string dtype)
    {
        writer.WriteArrayHeader(2);
        writer.Write(tenant);
        writer.WriteArrayHeader(10);
        writer.Write("m");
        foreach (int value in (ReadOnlySpan<int>)[1, 2, 2, 8]) writer.Write(value);
        writer.Write(dtype);
        writer.Write(16);
        writer.Write(10_000.0);
        writer.Write(1.0);
        writer.Write(false);
    }
}
