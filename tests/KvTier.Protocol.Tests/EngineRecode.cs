namespace KvTier.Protocol.Tests;

/// <summary>Messages of engines: read and written again, and made of typed values.</summary>
internal static class EngineRecode
{
    /// <summary>Recoders by the name of golden frames.</summary>
    public static IReadOnlyDictionary<string, Recoder> ByName { get; } = new Dictionary<string, Recoder>
    {
        ["engineHello.request"] =
            (body, _, output) => Whole(EngineHelloRequest.Read(body, Recode.Limits), output, static (m, o) => m.Write(o)),
        ["engineHello.response"] = (body, _, output) => Whole(EngineHelloResponse.Read(body), output, static (m, o) => m.Write(o)),
        ["loadable.request"] = Loadable,
        ["loadable.response"] =
            (body, _, output) => Whole(LoadableResponse.Read(body, Recode.Limits.BatchBlocksMax), output, static (m, o) => m.Write(o)),
        ["eventNotes.request"] =
            (body, _, output) => Whole(EventNotesRequest.Read(body, Recode.Limits), output, static (m, o) => m.Write(o)),
        ["eventNotes.response"] = (body, _, output) => Whole(EventNotesResponse.Read(body), output, static (m, o) => m.Write(o)),
    };

    /// <summary>The bodies of golden frames made of typed values.</summary>
    public static Dictionary<string, Action<FrameBuffer>> Encoders(BlockId id1, BlockId id2) => new()
    {
        ["engineHello.request"] = b => new EngineHelloRequest(
            7, 250, "vllm", "0.20.0", "node-1/0", new Dictionary<string, string> { ["seed"] = "0", ["dtype"] = "bf16" }).Write(b),
        ["engineHello.response"] = b => new EngineHelloResponse(
            2, true, [new EngineDifference("seed", "0", "unset", "vllm 0.20.0 at node-2/0", "set PYTHONHASHSEED=0")]).Write(b),
        ["loadable.request"] = b => LoadableRequest.Write(b, 7, 250, [id1, id2], new LoadableTerms(8000, 0, 16), [], hasTiers: false),
        ["loadable.request.tiers"] = b => LoadableRequest.Write(
            b, 7, 0, [id1, id2], new LoadableTerms(0, 1e9, 0, 2 << 20), [TierSet.Host, TierSet.Ssd], hasTiers: true),
        ["loadable.response"] = b => new LoadableResponse(1, 2, 0.5, 2, "loading 1 takes 0.5 ms").Write(b),
        ["eventNotes.request"] = b => new EventNotesRequest(7, 2, null,
        [
            new EventNote(id1, Bytes(1), default, new[] { 5, 6 }),
            new EventNote(id2, Bytes(2), Bytes(1), new[] { 7, 8 }, new byte[] { 0x91, 0xA4, 0x6C, 0x6F, 0x72, 0x61 }, 0),
        ]).Write(b),
        ["eventNotes.response"] = b => new EventNotesResponse(1, 1, true).Write(b),
    };

    private static byte[] Bytes(byte value) => [.. Enumerable.Repeat(value, 8)];

    private static KvError? Loadable(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        KvError? error = LoadableRequest.TryRead(body, Recode.Limits, out LoadableRequest request);
        if (error is not null) return error;
        var tiers = new TierSet[request.Tiers.Length];
        for (int i = 0; i < tiers.Length; i++) tiers[i] = (TierSet)request.Tiers[i];
        var terms = new LoadableTerms(
            request.PrefillTokensPerSecond, request.BytesPerSecond, request.BlockTokens, request.BlockBytes);
        LoadableRequest.Write(output, request.Namespace, request.DeadlineMs, Recode.ToArray(request.Ids), terms, tiers, request.HasTiers);
        return null;
    }

    private static KvError? Whole<T>(Result<T> result, FrameBuffer output, Action<T, FrameBuffer> write)
    {
        if (result.TryGet(out T? value, out KvError? error)) write(value, output);
        return error;
    }
}
